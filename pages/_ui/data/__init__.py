"""The Data and Dataset pages: all datasets, the ways in, one import, one dataset with its report."""
