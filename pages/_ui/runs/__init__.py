"""The Runs and Run pages: the list, one run's panel, and what a person can do to it."""
