"""What runs of the same data and base model say, on validation rows: test rows choose nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core import metrics
from core.domain.run import Interval
from core.metrics import Judged, Metric
from core.metrics import arms as pooled

LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Own:
    """One method in somebody's own runs."""

    method: str
    seeds: int
    score: Interval
    """On validation rows."""
    worse: bool
    """Whether the paired test tells it from the best of these methods (Holm)."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Several methods on the same validation rows, best first."""

    metric: Metric
    methods: tuple[Own, ...]

    @property
    def best(self) -> list[str]:
        """The best one, and all that cannot be told from it."""
        return [each.method for each in self.methods if not each.worse]


def ranked(judged: Mapping[str, Mapping[int, Judged]]) -> Ranking | None:
    """Method -> seed -> validation rows as judged -> their order; None with fewer than two methods that share a seed
    with the best."""
    there = {method: seeds for method, seeds in judged.items() if seeds}
    shared = metrics.shared([each for seeds in there.values() for each in seeds.values()]) if there else []
    metric = metrics.primary([each.name for each in shared])
    if metric is None or len(there) < 2:
        return None
    means = {method: sum(metric.value(each) for each in seeds.values()) / len(seeds)
             for method, seeds in there.items()}
    order = sorted(there, key=lambda method: -metric.sign * means[method])
    best, others = order[0], [method for method in order[1:] if set(there[method]) & set(there[order[0]])]
    if not others:
        return None
    tests = [_against(metric, there[method], there[best]) for method in others]
    corrected = pooled.together(tests, contrasts=len(tests))
    worse = {method: p < LEVEL and not test.interval.low <= 0 <= test.interval.high
             for method, test, p in zip(others, tests, corrected, strict=True)}
    return Ranking(metric=metric, methods=tuple(
        Own(method=method, seeds=len(there[method]), worse=worse.get(method, False),
            score=pooled.mean(metric, _in_order(there[method]))) for method in (best, *others)))


def _against(metric: Metric, one: Mapping[int, Judged], other: Mapping[int, Judged]) -> pooled.Difference:
    seeds = sorted(set(one) & set(other))
    return pooled.difference(metric, [one[seed] for seed in seeds], [other[seed] for seed in seeds])


def _in_order(seeds: Mapping[int, Judged]) -> Sequence[Judged]:
    return [seeds[seed] for seed in sorted(seeds)]
