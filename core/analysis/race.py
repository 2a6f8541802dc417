"""The runs of an experiment while they train: where each stands at equal shares of its steps, and which of them is so
far behind that a person may want to stop it.

The rule is that of successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943), held back by an interval: at a
quarter and at half of its steps, a run of the worse half of those that got so far is named where the best one is ahead
by more than their validation rows explain (Agresti and Caffo 2000, at 95 % over all of them). While a run
trains only its score is known, not its rows, so the interval is that of different rows, wider than a paired one.
Nothing is stopped by it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.analysis.curves import Curves
from core.metrics import Metric, Unit

RUNGS = (0.25, 0.5)
"""Shares of its planned steps at which a run is judged."""
LEVEL = 0.035
"""Of the interval; with few rows it covers less than it says: one in twenty races of five equal runs names anybody."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One run so far."""

    run: str
    shares: tuple[float, ...]
    """Of its planned steps, at each evaluation."""
    scores: tuple[float, ...]
    """On validation rows, as long as `shares`."""
    rows: int
    """Validation rows."""
    under_way: bool

    def best(self, share: float, metric: Metric) -> float | None:
        """Its best score up to a share of its steps; None before it got so far, or was evaluated."""
        found = [score for at, score in zip(self.shares, self.scores, strict=True) if at <= share + 1e-9]
        reached = bool(self.shares) and self.shares[-1] >= share - 1e-9
        return (max if metric.higher_is_better else min)(found) if found and reached else None


@dataclass(frozen=True, kw_only=True)
class Behind:
    """A run that may be stopped."""

    run: str
    leader: str
    share: float
    score: float
    best: float
    """Of the leader, up to the same share of its own steps."""
    rows: int


def lane(run: str, curves: Curves, metric: Metric, *, rows: int, under_way: bool) -> Lane:
    """A run's events as a lane; empty before its first evaluation, or where its number of steps is not known."""
    total = max((int(point.get("total_steps") or 0) for point in curves.steps), default=0)
    points = [(point["step"] / total, float(point[metric.name])) for point in curves.evals
              if total and isinstance(point.get(metric.name), (int, float))]
    return Lane(run=run, shares=tuple(share for share, _ in points), scores=tuple(score for _, score in points),
                rows=rows, under_way=under_way)


def behind(lanes: Sequence[Lane], metric: Metric) -> list[Behind]:
    """The runs under way that the rule names, in the order of `lanes`; none for metrics that are no share of rows."""
    if metric.unit is not Unit.SHARE or metric.score is not None:
        return []
    found = []
    for one in lanes:
        for share in sorted(RUNGS, reverse=True):
            score = one.best(share, metric)
            if not one.under_way or score is None:
                continue
            pool = [(value, other) for other in lanes if (value := other.best(share, metric)) is not None]
            pool.sort(key=lambda pair: -metric.sign * pair[0])
            worse_half = [other.run for _, other in pool[(len(pool) + 1) // 2:]]
            best, leader = pool[0]
            if one.run in worse_half and _apart(best, leader.rows, score, one.rows, runs=len(pool)):
                found.append(Behind(run=one.run, leader=leader.run, share=share, score=score, best=best, rows=one.rows))
            break
    return found


def _apart(p: float, n: int, q: float, m: int, *, runs: int) -> bool:
    """Whether the best and another of so many shares, of n and of m rows, differ by more than chance: Agresti and
    Caffo's interval (one success and one failure added to each), as wide as Tukey's range of that many makes it, since
    the best is chosen by what it is then compared by."""
    if min(n, m) < 1:
        return False
    p, q = (p * n + 1) / (n + 2), (q * m + 1) / (m + 2)
    error = np.sqrt(p * (1 - p) / (n + 2) + q * (1 - q) / (m + 2))
    return bool(abs(p - q) > _width(runs) * error)


@functools.cache
def _width(runs: int) -> float:
    """In standard errors of a difference."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - LEVEL, runs, np.inf) / np.sqrt(2))
