"""The command line: what the pages do, headless. `python -m core --help`."""
