"""How features of the same rows differ between two models: pure functions on arrays."""
