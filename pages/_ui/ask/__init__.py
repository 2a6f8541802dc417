"""The page *Ask*: a question, the runs that can settle it, and their start."""
