"""Arms of an experiment: several seeds on the same rows, as one measurement, and two arms held against each other.

Rows and seeds are crossed: every seed answers the same rows. The mean over both then varies by the rows that happened
to be tested on, by the seeds that happened to be drawn, and by what is left of either, estimated as in a two-way
analysis of variance without replication. Rows and seeds each bring their own quantile of Student's t to the interval
(Burdick and Graybill 1992, chapter 3), so that two or three seeds make it as wide as two or three seeds deserve. A
metric that is no mean of rows is taken by its influence function: what a row pulls it by (Hampel 1974).

Two or three seeds say little of how much seeds vary, and corrected for many pairs hardly anything is told apart by
them. Where an experiment has many arms they are asked together: a pair's variance is moderated by that of all pairs
(Smyth 2004, doi 10.2202/1544-6115.1027). Intervals stay those of each pair by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.domain.run import Interval
from core.errors import DataError
from core.metrics import paired
from core.metrics.intervals import bootstrap, share
from core.metrics.metric import Floats, Judged, Metric, Unit
from core.metrics.units import Units

POWER_T = 2.8
"""A difference so many standard errors wide is found four times in five at the 5 % level (1.96 + 0.84)."""
MOST_TIMES = 1000
"""More than so many times the rows or seeds there are is no advice."""
SLOPE_ERROR = 1e-6
"""What slopes that are taken from differences miss by."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A mean over rows and seeds, and what makes it uncertain."""

    value: float
    rows: float
    """Variance of one row (or group) beyond what is left."""
    seeds: float
    """Variance of one seed beyond what is left; 0 with one seed, which shows none."""
    left: float
    """Variance of what neither explains, of one row with one seed."""
    of_seed_means: float
    """Variance of the seeds' own means: of seeds, and what is left of a mean over rows."""
    n_rows: int
    n_seeds: int
    freedom: float | None = None
    """Degrees of freedom of `of_seed_means`; None = those of its own seeds."""

    def variance(self, *, n_rows: float | None = None, n_seeds: float | None = None) -> float:
        """Of the mean; or what it would be with so many rows or seeds."""
        rows, seeds = n_rows or self.n_rows, n_seeds or self.n_seeds
        return self.rows / rows + self.seeds / seeds + self.left / (rows * seeds)

    def half_width(self, level: float = 0.95) -> float:
        """Half of the interval of this level: rows and seeds each with their own quantile of Student's t.

        What is left counts with the seeds, whose quantile is the larger one: it errs on the wide side.
        """
        from scipy import special

        seeds = self.of_seed_means / self.n_seeds if self.n_seeds > 1 else 0.0
        rows = self.rows / self.n_rows + (self.left / self.n_rows if self.n_seeds == 1 else 0.0)
        free = ((rows, self.n_rows - 1), (seeds, self.freedom or self.n_seeds - 1))
        return math.sqrt(sum(float(special.stdtrit(max(1, n), 0.5 + level / 2))**2 * part for part, n in free if part))

    @property
    def interval(self) -> Interval:
        """95 %."""
        half = self.half_width()
        return Interval(value=self.value, low=self.value - half, high=self.value + half)

    @property
    def p_value(self) -> float:
        """Two-sided, of a true value of 0: one minus the level at which the interval just reaches it."""
        from scipy import optimize

        if self.half_width() <= 0:
            return 1.0 if self.value == 0 else 2 * 0.5**self.n_rows  # a sign test: every row points the same way
        if self.value == 0:
            return 1.0
        least = 1e-12
        if self.half_width(1 - least) <= abs(self.value):
            return least
        return float(optimize.brentq(lambda p: self.half_width(1 - p) - abs(self.value), least, 1.0))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One arm minus another on the same rows, pooled over seeds."""

    interval: Interval
    p_value: float
    spread: Spread


def influence(metric: Metric, judged: Judged) -> Floats:
    """What each row (group) makes the metric by itself, to first order: `(n_units,)`, whose mean is its value."""
    units = Units(judged)
    parts = units.parts(metric, judged)
    table = np.asarray(parts.todense() if hasattr(parts, "todense") else parts, np.float64)
    sizes = np.ones(units.count) if units.sizes is None else units.sizes.astype(np.float64)
    table = np.column_stack([table, sizes])
    sums = table.sum(axis=0)

    steps = np.maximum(np.abs(sums), 1.0) * 1e-6
    moved = sums + np.concatenate([np.zeros_like(steps)[None], np.diag(steps), -np.diag(steps)])
    value, *ends = metric.of_sums(moved[:, :-1], moved[:, -1])
    slopes = (np.array(ends[:len(steps)]) - np.array(ends[len(steps):])) / (2 * steps)
    return np.asarray(value + units.count * ((table - table.mean(axis=0)) @ slopes))


def spread(table: Floats) -> Spread:
    """The mean of `(n_seeds, n_rows)` and what makes it uncertain. Raises DataError without a row or a seed."""
    if table.ndim != 2 or not table.size:
        raise DataError("There is nothing to take a mean of.", remedy="Ask for at least one row and one seed.")
    n_seeds, n_rows = table.shape
    value = float(table.mean())
    by_row, by_seed = table.mean(axis=0), table.mean(axis=1)
    of_rows = n_seeds * float(by_row.var(ddof=1)) if n_rows > 1 else 0.0  # mean squares
    if n_seeds == 1:
        return Spread(value=value, rows=0.0, seeds=0.0, left=of_rows, of_seed_means=0.0, n_rows=n_rows,
                      n_seeds=1)
    of_seeds = n_rows * float(by_seed.var(ddof=1))
    residuals = table - by_row[None, :] - by_seed[:, None] + value
    of_left = float((residuals**2).sum() / free) if (free := (n_rows - 1) * (n_seeds - 1)) else 0.0
    left = min(of_left, of_rows)  # rows that differ by less than chance makes them: nothing is theirs
    return Spread(value=value, rows=(of_rows - left) / n_seeds, seeds=max(0.0, of_seeds - of_left) / n_rows, left=left,
                  of_seed_means=of_seeds / n_rows, n_rows=n_rows, n_seeds=n_seeds)


def mean(metric: Metric, judged: Sequence[Judged]) -> Interval:
    """The metric's mean over seeds with its 95 % interval over rows and seeds; of one seed, over rows only.

    judged: one a seed, of the same rows in the same order. Raises DataError where their rows are not as many.
    """
    table = _table(metric, judged)
    value = float(np.mean([metric.value(each) for each in judged]))
    if len(judged) == 1:
        return bootstrap(judged[0], [metric])[metric.name]
    if metric.unit is Unit.SHARE and value in (0.0, 1.0) and np.abs(table - value).max() < SLOPE_ERROR:
        return share(int(value) * judged[0].n_rows, judged[0].n_rows)  # rows that are all alike show no spread
    found = spread(table).interval
    low, high = found.low + value - found.value, found.high + value - found.value
    if metric.unit is Unit.SHARE:
        low, high = max(0.0, low), min(1.0, high)
    return Interval(value=value, low=min(low, value), high=max(high, value))


def difference(metric: Metric, a: Sequence[Judged], b: Sequence[Judged]) -> Difference:
    """The metric of A minus that of B on the same rows, over their seeds taken in pairs in this order.

    One seed each: the paired test of two runs (McNemar's where rows are right or wrong). Raises DataError where rows or
    seeds are not as many.
    """
    if len(a) != len(b):
        raise DataError("These two arms cannot be compared.", why=f"One has {len(a)} seeds, the other {len(b)}.",
                        remedy="Compare the seeds that both have.")
    table = _table(metric, a) - _table(metric, b)
    found = spread(table)
    if len(a) == 1:
        test = paired.by_metric(metric, a[0], b[0])
        p_value = test.p_value if isinstance(test, paired.RightOrWrong) else found.p_value
        return Difference(interval=test.difference, p_value=p_value, spread=found)
    value = float(np.mean([metric.value(x) - metric.value(y) for x, y in zip(a, b, strict=True)]))
    moved = value - found.value
    interval = found.interval
    return Difference(interval=Interval(value=value, low=interval.low + moved, high=interval.high + moved),
                      p_value=found.p_value, spread=found)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests at once, so corrected that with 5 % none is below 0.05 by chance alone (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    corrected, most = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = most
    return corrected


def together(found: Sequence[Difference], *, contrasts: int) -> list[float]:
    """p-values of the differences of one experiment, corrected for their number (`holm`).

    contrasts: how many of these pairs are independent of each other: arms − 1 where all are connected. Half of their
    degrees of freedom at most count for a pair, since arms do not vary alike; where that is no more than its own,
    the pair stands by itself.
    """
    seeds = {each.spread.n_seeds for each in found}
    own = seeds.pop() - 1 if len(seeds) == 1 else 0
    most = own * contrasts / 2
    if own < 1 or most <= own:
        return holm([each.p_value for each in found])
    variances = np.array([each.spread.of_seed_means for each in found])
    prior = _prior_freedom(variances, own)
    middle = float(variances.mean())
    moderated = np.full_like(variances, middle) if math.isinf(prior) else \
        (prior * middle + own * variances) / (prior + own)
    return holm([replace(each.spread, of_seed_means=float(variance), freedom=min(prior + own, most)).p_value
                 for each, variance in zip(found, moderated, strict=True)])


def _prior_freedom(variances: Floats, own: int) -> float:
    """How alike the variances are beyond chance, as degrees of freedom; infinite where they differ by chance alone.

    The variance of their logarithms is trigamma(own / 2) + trigamma(prior / 2) (Smyth 2004, section 6.2).
    """
    from scipy import optimize, special

    left = float(np.log(np.maximum(variances, 1e-12)).var(ddof=1) - special.polygamma(1, own / 2))
    least, most = 1e-3, 1e6
    if left <= special.polygamma(1, most):
        return math.inf
    if left >= special.polygamma(1, least):
        return 2 * least
    return 2 * float(optimize.brentq(lambda half: special.polygamma(1, half) - left, least, most))


def more_seeds(found: Spread) -> int | None:
    """How many further seeds would find a difference this large four times in five; None where no number would."""
    return _needed(found, lambda n: found.variance(n_seeds=n), found.n_seeds)


def more_rows(found: Spread) -> int | None:
    """How many further test rows (groups, where rows are in groups) would."""
    return _needed(found, lambda n: found.variance(n_rows=n), found.n_rows)


def _needed(found: Spread, variance: Callable[[int], float], there: int) -> int | None:
    wanted = (found.value / POWER_T) ** 2
    limit = MOST_TIMES * there
    if wanted <= 0 or variance(limit) > wanted:
        return None
    low, high = there, limit
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if variance(middle) <= wanted else (middle + 1, high)
    return low - there


def _table(metric: Metric, judged: Sequence[Judged]) -> Floats:
    """(n_seeds, n_units)."""
    if len({each.n_rows for each in judged}) != 1:
        raise DataError("There are no predictions to pool.", why="There is no seed, or the seeds have different rows.",
                        remedy="Choose at least one seed, and seeds with predictions of the same rows.")
    return np.stack([influence(metric, each) for each in judged])
