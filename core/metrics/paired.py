"""Two runs on the same rows: exact McNemar test and a paired bootstrap of the difference in accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.domain.run import Interval
from core.errors import DataError
from core.metrics.scores import check
from core.metrics.words import p_value as p_words


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """What two runs got right on the same rows, and what that supports saying."""

    n: int
    """Rows."""
    both_right: int
    only_a: int
    """Rows that only A got right."""
    only_b: int
    both_wrong: int
    p_value: float
    """Exact two-sided McNemar test: chance of a split at least this uneven if neither were better."""
    difference: Interval
    """Accuracy of A minus accuracy of B, with the 95 % interval of a paired bootstrap."""
    sentence: str
    """Names a winner only when the interval leaves out 0 and the test agrees (p < 0.05)."""


def compare(labels: ArrayLike, predictions_a: ArrayLike, predictions_b: ArrayLike, *, seed: int = 0, samples: int = 10_000,
            name_a: str = "A", name_b: str = "B") -> PairedTest:
    """Compare two runs on the same rows in the same order.

    McNemar's test is exact (binomial over the rows on which exactly one is right). The bootstrap resamples rows, which over the
    four outcomes is a multinomial draw. Raises DataError on empty or unequal input.
    """
    from scipy import stats

    truth, guess_a = check(labels, predictions_a)
    _, guess_b = check(labels, predictions_b)
    right_a, right_b = guess_a == truth, guess_b == truth
    n, both = truth.size, int(np.sum(right_a & right_b))
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(~right_a & right_b))
    if samples < 1:
        raise DataError("A bootstrap needs at least one resample.", remedy="Ask for 10000, the default.")
    p_value = float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    draws = np.random.default_rng(seed).multinomial(n, [only_a / n, only_b / n, 1 - (only_a + only_b) / n], size=samples)
    low, high = np.percentile((draws[:, 0] - draws[:, 1]) / n, [2.5, 97.5])
    value = (only_a - only_b) / n
    difference = Interval(value=value, low=float(min(low, value)), high=float(max(high, value)))
    return PairedTest(n=n, both_right=both, only_a=only_a, only_b=only_b, both_wrong=n - both - only_a - only_b, p_value=p_value,
                      difference=difference, sentence=_sentence(n, only_a, only_b, p_value, difference, name_a, name_b))


def _sentence(n: int, only_a: int, only_b: int, p_value: float, difference: Interval, name_a: str, name_b: str) -> str:
    if not only_a + only_b:
        return f"{name_a} and {name_b} are right and wrong on exactly the same {n} rows."
    low, high = 100 * difference.low, 100 * difference.high
    if p_value < 0.05 and (difference.low > 0 or difference.high < 0):
        winner, loser = (name_a, name_b) if difference.value > 0 else (name_b, name_a)
        if difference.value < 0:
            low, high = -high, -low
        return (f"{winner} is better than {loser} on these {n} rows by {_points(abs(100 * difference.value))} of accuracy "
                f"(95 % interval {low:.1f} to {high:.1f}; exact McNemar p {p_words(p_value)}).")
    return (f"These {n} rows do not tell {name_a} and {name_b} apart: only {name_a} is right on {only_a}, only {name_b} on {only_b} "
            f"(difference {100 * difference.value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}; "
            f"exact McNemar p {p_words(p_value)}).")


def _points(value: float) -> str:
    return f"{value:.1f} point" + ("" if f"{value:.1f}" == "1.0" else "s")
