"""What is handed on without a server: finished runs as one file.

`results` makes of results what charts and tables take, for pages and files alike.
"""
