"""Statistics in words, the same on every page."""

from __future__ import annotations

from core.domain.run import Interval
from core.metrics.metric import Metric, Unit


def p_value(value: float) -> str:
    """What follows "p": `= 0.034`, or `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def gap(metric: Metric, found: Interval, *, signed: bool = False) -> str:
    """A difference with its interval: `2.1 points of accuracy (95 % interval 0.8 to 3.4)`."""
    share = metric.unit is Unit.SHARE
    if found.value == found.low == found.high == 0:
        return f"0{' points' * share} of {metric.label} (every row is answered alike)"
    factor, digits = (100.0, 1) if share else (1.0, 3)
    value, low, high = (factor * each for each in (found.value, found.low, found.high))
    if not signed and value < 0:
        value, low, high = -value, -high, -low
    sign = "+" if signed or low < 0 else ""
    unit = " points" if share else ""
    return (f"{value:{'+' if signed else ''}.{digits}f}{unit} of {metric.label} "
            f"(95 % interval {low:{sign}.{digits}f} to {high:{sign}.{digits}f})")


def would_tell(more_seeds: int | None, more_rows: int | None, *, rows: str = "test rows") -> str:
    """How many more seeds or rows would tell two arms apart, in a sentence; empty where no number would."""
    said = [f"about {count:,} more {what.removesuffix('s') if count == 1 else what}"
            for count, what in ((more_seeds, "seeds"), (more_rows, rows)) if count]
    return f"A difference of this size would take {' or '.join(said)}." if said else ""
