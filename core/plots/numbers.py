"""Numbers as people read them: no more digits than the interval supports, units that fit the size."""

from __future__ import annotations

import math

from core.metrics.words import change, fixed, minus, p_value, percent, signed

__all__ = ["about", "change", "count", "decimals", "duration", "fixed", "measured", "minus", "p_value", "percent",
           "roughly", "share", "signed", "size"]


def decimals(low: float, high: float) -> int:
    """Decimals that an interval supports: the first digit of its half width is the last one shown (at most 4; 2 where
    it is up to a half)."""
    half = abs(high - low) / 2
    if not math.isfinite(half) or half <= 0:
        return 3
    return min(4, max(2 if half <= 0.5 else 0, math.ceil(-math.log10(half)), 1 if half < 5 else 0))


def measured(value: float, low: float, high: float) -> str:
    """`0.96 (0.94–0.98)`: the value and its interval, rounded to what the interval supports."""
    n = decimals(low, high)
    dash = "–" if low >= 0 else " to "  # a dash before a minus reads as one of them
    return f"{fixed(value, n)} ({fixed(low, n)}{dash}{fixed(high, n)})"


def count(value: float) -> str:
    """A count in three digits: `384`, `1.93 K`, `22.7 M`."""
    for factor, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= factor:
            scaled = value / factor
            return f"{scaled:.{max(0, 2 - int(math.log10(abs(scaled))))}f} {unit}"
    return f"{value:.0f}"


def size(value: float) -> str:
    """Bytes in decimal units: `84 MB`, `1.95 GB`."""
    for factor, unit, places in ((1e9, "GB", 2), (1e6, "MB", 0), (1e3, "KB", 0)):
        if abs(value) >= factor:
            return f"{value / factor:.{places}f} {unit}"
    return f"{value:.0f} B"


def share(part: float, whole: float) -> str:
    """`0.4 %`, `12 %`, `100 %`; `under 0.01 %` for a trace."""
    if whole <= 0 or part <= 0:
        return "0 %"
    percent = 100 * part / whole
    if 0 < percent < 0.01:
        return "under 0.01 %"
    return f"{percent:.2f} %" if percent < 1 else f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"


def about(value_s: float) -> str:
    """`about 4 min`, `under 10 s`."""
    text = roughly(value_s)
    return text if text.startswith("under") else f"about {text}"


def roughly(value_s: float) -> str:
    """Estimated seconds without false precision: `under 10 s`, `45 s`, `22 min`, `2 h 10 min`."""
    if value_s < 10:
        return "under 10 s"
    if value_s < 57.5:
        return f"{5 * round(value_s / 5)} s"
    if value_s < 3570:
        return f"{max(1, round(value_s / 60))} min"
    tens = round(value_s / 600)
    return f"{tens // 6} h" + (f" {tens % 6 * 10} min" if tens % 6 else "")


def duration(value_s: float) -> str:
    """Seconds as `0.8 s`, `42 s`, `3 min 05 s`, `1 h 12 min`."""
    if value_s < 0:
        return "0 s"
    if value_s < 9.95:
        return f"{value_s:.1f} s"
    total = round(value_s)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"
