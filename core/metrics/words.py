"""Statistics in words, the same on every page."""

from __future__ import annotations


def p_value(value: float) -> str:
    """What follows "p": `= 0.034`, or `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
