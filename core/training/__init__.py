"""Executing a recipe: from a base model and a dataset to a measured result in a run folder."""
