"""Two runs on the same rows: a paired bootstrap by any metric, McNemar's exact test where rows are right or wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.domain.run import Interval
from core.errors import DataError
from core.metrics.intervals import SAMPLES, chunks, row_draw
from core.metrics.metric import Floats, Judged, Metric, Unit
from core.metrics.scores import check
from core.metrics.units import Units
from core.metrics.words import p_value as p_words
from core.metrics.words import signed

Marks = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """How two runs differ on the same rows, and what that supports saying."""

    n: int
    """Rows."""
    difference: Interval
    """The metric of A minus that of B, with the 95 % interval of a paired bootstrap."""
    sentence: str
    """Names a winner only when the interval leaves out 0 and the test, where there is one, agrees (p < 0.05)."""
    how: str
    """The test by its name, one layer below the sentence."""


@dataclass(frozen=True, kw_only=True)
class RightOrWrong(PairedTest):
    """By a metric that finds each row right or wrong: also which run got which rows right."""

    both_right: int
    """Rows."""
    only_a: int
    """Rows that only A got right."""
    only_b: int
    both_wrong: int
    p_value: float
    """Exact two-sided McNemar test: chance of a split at least this uneven if neither were better."""


def by_metric(metric: Metric, a: Judged, b: Judged, *, seed: int = 0, name_a: str = "A",
              name_b: str = "B") -> PairedTest:
    """Compare two runs on the same rows in the same order by a metric. Raises DataError on unequal input."""
    if a.n_rows != b.n_rows:
        raise DataError("These two runs cannot be compared row by row.",
                        why=f"One has {a.n_rows} rows, the other {b.n_rows}.",
                        remedy="Compare runs on the same rows.")
    right_a, right_b = _right(metric, a), _right(metric, b)
    if right_a is not None and right_b is not None:
        return _mcnemar(right_a, right_b, metric.label, seed=seed, samples=10_000, name_a=name_a, name_b=name_b)
    difference = by_bootstrap(metric, a, b, seed=seed)
    sentence = _by_bootstrap(metric, a.n_rows, difference, name_a, name_b)
    drawn = "rows" if a.groups is None else f"{Units(a).count:,} groups of rows (books, conversations)"
    return PairedTest(n=a.n_rows, difference=difference, sentence=sentence,
                      how=f"{SAMPLES:,} paired resamples of the {drawn} (bootstrap).")


def by_bootstrap(metric: Metric, a: Judged, b: Judged, *, seed: int = 0) -> Interval:
    """The metric of A minus that of B on the same rows (the same groups), with the 95 % interval of a paired
    bootstrap."""
    units = Units(a)
    parts, draw = (units.parts(metric, a), units.parts(metric, b)), row_draw(units.count, seed)
    draws = []
    for size in chunks(SAMPLES, max(units.count, parts[0].shape[1])):
        drawn = draw(size)
        draws.append(units.values(metric, parts[0], drawn) - units.values(metric, parts[1], drawn))
    return _interval(metric.value(a) - metric.value(b), np.concatenate(draws))


def _right(metric: Metric, judged: Judged) -> Marks | None:
    """Which rows are right, by a metric that says only that of a row; None by others, and of rows in groups, which are
    not independent."""
    rows = metric.row_values(judged) if judged.groups is None else None
    if rows is None or not metric.higher_is_better or not np.isin(rows, (0, 1)).all():
        return None
    return np.asarray(rows == 1)


def compare(labels: ArrayLike, predictions_a: ArrayLike, predictions_b: ArrayLike, *, seed: int = 0,
            samples: int = 10_000, name_a: str = "A", name_b: str = "B") -> RightOrWrong:
    """Compare two runs by the rows whose prediction is the label, the same rows in the same order.

    McNemar's test is exact (binomial over the rows on which exactly one is right). The bootstrap resamples rows, which
    over the four outcomes is a multinomial draw. Raises DataError on empty or unequal input.
    """
    truth, guess_a = check(labels, predictions_a)
    _, guess_b = check(labels, predictions_b)
    right_a, right_b = guess_a == truth, guess_b == truth
    return _mcnemar(right_a, right_b, "accuracy", seed=seed, samples=samples, name_a=name_a, name_b=name_b)


def _mcnemar(right_a: Marks, right_b: Marks, label: str, *, seed: int, samples: int, name_a: str,
             name_b: str) -> RightOrWrong:
    from scipy import stats

    n, both = right_a.size, int(np.sum(right_a & right_b))
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(~right_a & right_b))
    if samples < 1:
        raise DataError("A bootstrap needs at least one resample.", remedy="Ask for 10000, the default.")
    p_value = float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    shares = [only_a / n, only_b / n, 1 - (only_a + only_b) / n]
    draws = np.random.default_rng(seed).multinomial(n, shares, size=samples)
    difference = _interval((only_a - only_b) / n, (draws[:, 0] - draws[:, 1]) / n)
    sentence = _sentence(n, only_a, only_b, p_value, difference, label, name_a, name_b)
    return RightOrWrong(n=n, both_right=both, only_a=only_a, only_b=only_b, both_wrong=n - both - only_a - only_b,
                        p_value=p_value, difference=difference, sentence=sentence,
                        how=f"Exact McNemar test, p {p_words(p_value)}; the interval is a paired bootstrap over rows.")


def _interval(value: float, draws: Floats) -> Interval:
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(value=value, low=float(min(low, value)), high=float(max(high, value)))


def _sentence(n: int, only_a: int, only_b: int, p_value: float, difference: Interval, label: str, name_a: str,
              name_b: str) -> str:
    if not only_a + only_b:
        return f"{name_a} and {name_b} are right and wrong on exactly the same {n} rows."
    low, high = 100 * difference.low, 100 * difference.high
    if p_value < 0.05 and (difference.low > 0 or difference.high < 0):
        winner, loser = (name_a, name_b) if difference.value > 0 else (name_b, name_a)
        if difference.value < 0:
            low, high = -high, -low
        points = _points(abs(100 * difference.value))
        return (f"{winner} is better than {loser} on these {n} rows by {points} of {label} "
                f"(95 % interval {low:.1f} to {high:.1f}).")
    return (f"These {n} rows do not tell {name_a} and {name_b} apart: "
            f"only {name_a} is right on {only_a}, only {name_b} on {only_b} "
            f"(difference {signed(100 * difference.value, 1)} points, "
            f"95 % interval {signed(low, 1)} to {signed(high, 1)}).")


def _by_bootstrap(metric: Metric, n: int, difference: Interval, name_a: str, name_b: str) -> str:
    """The sentence of a metric without right and wrong rows: in points of a share, else in the metric's own numbers."""
    factor, digits, unit = (100, 1, " points") if metric.unit is Unit.SHARE else (1, 3, "")
    value, low, high = (factor * number for number in (difference.value, difference.low, difference.high))
    if not unit and 1e-6 < high - low < 0.02:  # two digits of what the interval leaves open
        digits = min(6, 1 - math.floor(math.log10((high - low) / 2)))
    if low <= 0 <= high:
        return (f"These {n} rows do not tell {name_a} and {name_b} apart in {metric.label} "
                f"(difference {signed(value, digits)}{unit}, "
                f"95 % interval {signed(low, digits)} to {signed(high, digits)}).")
    winner, loser = (name_a, name_b) if metric.sign * value > 0 else (name_b, name_a)
    low, high = sorted((abs(low), abs(high)))
    extreme = "higher" if metric.higher_is_better else "lower"
    return (f"{winner} is better than {loser} on these {n} rows: "
            f"its {metric.label} is {extreme} by {abs(value):.{digits}f}{unit} "
            f"(95 % interval {low:.{digits}f} to {high:.{digits}f}).")


def _points(value: float) -> str:
    return f"{value:.1f} point" + ("" if f"{value:.1f}" == "1.0" else "s")
