"""Activations of the body: pooled features a row, and the frozen prefix cache."""
