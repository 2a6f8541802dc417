"""The experiment page: its runs as they go, what can be done to all of them, and their results."""
