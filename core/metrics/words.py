"""Statistics in words, the same on every page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.domain.run import Interval
from core.metrics.metric import Metric, Unit

MINUS = "\N{MINUS SIGN}"
_HYPHEN = re.compile(r"(?<![\w.,)\]\-])-(?=\.?\d)")
"""A hyphen that stands for a minus: before a number, and behind no word, date or range."""


def listed(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def minus(text: str) -> str:
    """A text with a minus sign before its negative numbers, where a program writes a hyphen."""
    return _HYPHEN.sub(MINUS, text)


def fixed(value: float, digits: int) -> str:
    """`0.048`, `−0.002`; zero has no sign, also where it is one only after rounding."""
    text = f"{value:.{digits}f}"
    return minus(text) if float(text) else text.removeprefix("-")


def signed(value: float, digits: int) -> str:
    """`+0.048`, `−0.002`, `0.000`."""
    text = fixed(value, digits)
    return f"+{text}" if value > 0 and float(text) else text


def change(found: Interval, digits: int, unit: str = "") -> str:
    """`+0.024 (+0.010 to +0.041)`: a difference with its interval. unit: behind the difference, e.g. ` points`."""
    low, high = (signed(each, digits) for each in (found.low, found.high))
    return f"{signed(found.value, digits)}{unit} ({low} to {high})"


def percent(share: float, digits: int = 0) -> str:
    """`12 %`, `0.4 %` with one digit: of a share from 0 to 1."""
    return f"{fixed(100 * share, digits)} %"


def p_value(value: float) -> str:
    """What follows "p": `= 0.034`, or `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def gap(metric: Metric, found: Interval, *, with_sign: bool = False) -> str:
    """A difference with its interval: `2.1 points of accuracy (95 % interval 0.8 to 3.4)`."""
    share = metric.unit is Unit.SHARE
    if found.value == found.low == found.high == 0:
        return f"0{' points' * share} of {metric.label} (every row is answered alike)"
    factor, digits = (100.0, 1) if share else (1.0, 3)
    value, low, high = (factor * each for each in (found.value, found.low, found.high))
    if not with_sign and value < 0:
        value, low, high = -value, -high, -low
    unit = " points" if share else ""
    bound = signed if with_sign or low < 0 else fixed
    return (f"{(signed if with_sign else fixed)(value, digits)}{unit} of {metric.label} "
            f"(95 % interval {bound(low, digits)} to {bound(high, digits)})")


def would_tell(more_seeds: int | None, more_rows: int | None, *, rows: str = "test rows") -> str:
    """How many more seeds or rows would tell two arms apart, in a sentence; empty where no number would."""
    said = [f"about {_round(count):,} more {what.removesuffix('s') if count == 1 else what}"
            for count, what in ((more_seeds, "seeds"), (more_rows, rows)) if count]
    return f"A difference of this size would take {' or '.join(said)}." if said else ""


def _round(count: int) -> int:
    """To two digits: more of them would claim too much of an estimate."""
    step = 10 ** max(0, len(str(count)) - 2)
    return round(count / step) * step
