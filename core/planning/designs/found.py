"""What an experiment's runs left, as its design reads it: scores and differences of arms, and numbers in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from core.domain.experiment import Arm, Compared, Experiment
from core.domain.run import Interval
from core.errors import DataError
from core.metrics import Judged, Metric, Unit
from core.metrics import arms as pooled
from core.metrics.words import fixed, gap, would_tell
from core.metrics.words import signed as with_sign

Rows = Mapping[str, Mapping[int, Judged]]
"""split -> seed -> the rows as judged."""
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Found:
    """The finished arms of an experiment; arms without a finished run are left out."""

    experiment: Experiment
    metric: Metric
    """The one that the answer is about."""
    rows: Mapping[str, Rows]
    """Arm -> its rows, of the rate that was chosen."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Arm -> the factor that validation rows chose, where there were several."""
    pairs: Sequence[tuple[str, str]] = ()
    shift_made: str = ""
    """What the shift set is called where it was made from test rows."""

    @property
    def arms(self) -> list[Arm]:
        return [arm for arm in self.experiment.arms if self.rows.get(arm.name, {}).get("test")]

    def label(self, arm: str) -> str:
        return next(each.label for each in self.experiment.arms if each.name == arm)

    def score(self, arm: str, split: str = "test", metric: Metric | None = None) -> Interval | None:
        """Mean over seeds; None where the arm has no such rows."""
        judged = self.rows.get(arm, {}).get(split, {})
        return pooled.mean(metric or self.metric, list(judged.values())) if judged else None

    def value(self, arm: str, split: str = "test") -> float:
        """Mean over seeds. Raises DataError without rows."""
        judged = self.rows.get(arm, {}).get(split, {})
        if not judged:
            raise DataError(f"{self.label(arm)} has no predictions on {split} rows.",
                            remedy="Wait until its runs are done.")
        return sum(self.metric.value(each) for each in judged.values()) / len(judged)

    def difference(self, a: str, b: str, split: str = "test") -> pooled.Difference:
        """A minus B over the seeds that both have. Raises DataError without any."""
        first, second = (self.rows.get(arm, {}).get(split, {}) for arm in (a, b))
        seeds = [seed for seed in first if seed in second]
        if not seeds:
            raise DataError(f"{self.label(a)} and {self.label(b)} have no {split} predictions of the same seed.",
                            remedy="Wait until their runs are done.")
        return pooled.difference(self.metric, [first[seed] for seed in seeds], [second[seed] for seed in seeds])

    def merit(self, arm: str, split: str = "test") -> float:
        """`value`, turned so that higher is better."""
        return self.metric.sign * self.value(arm, split)

    @property
    def compared(self) -> list[Compared]:
        """The pairs of the design that have runs, with their p-values corrected together."""
        return self.compared_on("test")

    def compared_on(self, split: str) -> list[Compared]:
        """The same on the rows of a split; computed once."""
        if split not in self._compared_on:
            self._compared_on[split] = self._compare(split)
        return self._compared_on[split]

    @cached_property
    def _compared_on(self) -> dict[str, list[Compared]]:
        return {}

    def _compare(self, split: str) -> list[Compared]:
        there = {arm.name for arm in self.experiment.arms if self.rows.get(arm.name, {}).get(split)}
        pairs = [(a, b) for a, b in self.pairs if a in there and b in there]
        found = [self.difference(a, b, split) for a, b in pairs]
        corrected = pooled.together(found, contrasts=_contrasts(pairs))
        return [self._compared(a, b, each, p) for (a, b), each, p in zip(pairs, found, corrected, strict=True)]

    def _compared(self, a: str, b: str, found: pooled.Difference, p: float) -> Compared:
        told = p < LEVEL and not found.interval.low <= 0 <= found.interval.high
        verdict = ("better" if self.metric.sign * found.interval.value > 0 else "worse") if told else "cannot tell"
        return Compared(a=a, b=b, difference=found.interval, p_adjusted=p, verdict=verdict,
                        more_seeds=None if told else pooled.more_seeds(found.spread),
                        more_rows=None if told else pooled.more_rows(found.spread))

    def between(self, a: str, b: str, split: str = "test") -> Compared:
        """The comparison of these two, whichever way round it was made. Raises KeyError where it was not."""
        for each in self.compared_on(split):
            if (each.a, each.b) == (a, b):
                return each
            if (each.a, each.b) == (b, a):
                turned = Interval(value=0.0 - each.difference.value, low=0.0 - each.difference.high,
                                  high=0.0 - each.difference.low)  # no minus before a zero
                verdict = {"better": "worse", "worse": "better"}.get(each.verdict, each.verdict)
                return Compared(a=a, b=b, difference=turned, p_adjusted=each.p_adjusted, verdict=verdict,
                                more_seeds=each.more_seeds, more_rows=each.more_rows)
        raise KeyError((a, b))

    def ranked(self, split: str = "test") -> list[Arm]:
        """Best first."""
        return sorted((arm for arm in self.arms if self.rows[arm.name].get(split)),
                      key=lambda arm: -self.merit(arm.name, split))

    @property
    def seeds_said(self) -> str:
        """`3 seeds`; one is named as such, since it shows nothing of what another would give."""
        count = len(self.experiment.seeds)
        return f"{count} seeds" if count > 1 else "one seed, which says nothing about another"

    def number(self, value: float, *, signed: bool = False) -> str:
        """A value of the metric: `93.1 %`, or `2.981`."""
        said = with_sign if signed else fixed
        return f"{said(100 * value, 1)} %" if self.metric.unit is Unit.SHARE else said(value, 3)

    def gap(self, found: Interval, *, signed: bool = False) -> str:
        """A difference with its interval: `2.1 points of accuracy (95 % interval 0.8 to 3.4)`."""
        return gap(self.metric, found, with_sign=signed)

    def more(self, found: Compared, split: str = "test") -> str:
        """What would tell the two apart, in a sentence; empty where nothing would, or they are told apart."""
        return would_tell(found.more_seeds, found.more_rows, rows=f"{split} rows")


def _contrasts(pairs: Sequence[tuple[str, str]]) -> int:
    """How many of the pairs say something that the others do not: arms minus groups of arms that pairs connect."""
    group: dict[str, str] = {arm: arm for pair in pairs for arm in pair}
    for a, b in pairs:
        old, new = group[a], group[b]
        group = {arm: new if own == old else own for arm, own in group.items()}
    return len(group) - len(set(group.values()))
