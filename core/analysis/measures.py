"""What arms of finished runs can be compared by, two at a time: every metric on every split, and every cost.

An arm with several seeds is one measurement with an interval over them; a single run's seconds and memory get the
factors below which `core.analysis.cost` calls nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.analysis.cost import MEMORY_FACTOR, TIME_FACTOR
from core.domain.run import Interval, Result
from core.metrics import METRICS
from core.plots.numbers import count, duration, measured, size

Value = Callable[[Result], "Interval | None"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One axis."""

    name: str
    """`test.accuracy`, `seconds`."""
    label: str
    """`Test accuracy`, `Seconds alone`."""
    sign: int
    """+1 where more is better, -1 where less is."""
    of: Value
    """Of one run; None where it has none."""
    log: bool = False
    """Drawn on a logarithmic axis, averaged over seeds in logarithms."""
    form: Callable[[float], str] | None = None
    """A value in words; None for a metric."""

    def words(self, found: Interval) -> str:
        """A value with its interval."""
        if self.form is None:
            return measured(found.value, found.low, found.high)
        if found.low == found.high:
            return self.form(found.value)
        return f"{self.form(found.value)} ({self.form(found.low)} to {self.form(found.high)})"


def available(results: Sequence[Result]) -> list[Measure]:
    """Those that any of these has, metrics on test rows first."""
    found = [_metric(split, metric.name) for split in ("test", "shift", "validation") for metric in METRICS
             if any(metric.name in result.metrics.get(split, {}) for result in results)]
    return [*found, *(cost for cost in COSTS if any(cost.of(result) is not None for result in results))]


def over_seeds(measure: Measure, results: Sequence[Result]) -> Interval | None:
    """The runs of one arm as one value: their mean, with what each leaves open and what differs between them (Student's
    t). None where one of them has none."""
    from scipy import stats

    each = [found for result in results if (found := measure.of(result)) is not None]
    if not each or len(each) < len(results):
        return None
    if len(each) == 1:
        return each[0]
    there, back = (math.log, math.exp) if measure.log else (float, float)
    floor = min((found.value for found in each if found.value > 0), default=1.0) if measure.log else -math.inf
    values, lows, highs = ([there(max(getattr(found, side), floor * 1e-3 if measure.log else floor)) for found in each]
                           for side in ("value", "low", "high"))
    middle, n = float(np.mean(values)), len(values)
    over = float(stats.t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    own = [abs(float(np.mean(bounds)) - middle) for bounds in (lows, highs)]
    if measure.form is not None:  # what a single run leaves open of its cost is what seeds show here
        own = [0.0, 0.0]
    low, high = (back(middle + side * math.hypot(half, over)) for side, half in zip((-1, 1), own, strict=True))
    return Interval(value=back(middle), low=low, high=high)


def _metric(split: str, name: str) -> Measure:
    metric = next(each for each in METRICS if each.name == name)
    return Measure(name=f"{split}.{name}", label=metric.heading(split), sign=metric.sign,
                   of=lambda result: result.metrics.get(split, {}).get(name))


def _exact(field: str) -> Value:
    def value(result: Result) -> Interval | None:
        found = getattr(result, field)
        return None if found is None else Interval(value=float(found), low=float(found), high=float(found))

    return value


def _about(field: str, factor: float) -> Value:
    """Measured once: two such values are called different only beyond this factor."""
    def value(result: Result) -> Interval | None:
        found = getattr(result, field)
        if found is None:
            return None
        step = math.sqrt(factor)
        return Interval(value=float(found), low=float(found) / step, high=float(found) * step)

    return value


COSTS = (
    Measure(name="forgotten", label="Forgotten (nats a token)", sign=-1, of=lambda result: result.panel_change),
    Measure(name="seconds", label="Seconds alone", sign=-1, of=_about("seconds", TIME_FACTOR), log=True, form=duration),
    Measure(name="marginal_seconds", label="Seconds added", sign=-1, of=_about("marginal_seconds", TIME_FACTOR),
            log=True, form=duration),
    Measure(name="peak_memory_bytes", label="Memory (bytes)", sign=-1, of=_about("peak_memory_bytes", MEMORY_FACTOR),
            log=True, form=size),
    Measure(name="trainable_params", label="Trained parameters", sign=-1, of=_exact("trainable_params"), log=True,
            form=count),
    Measure(name="artifact_bytes", label="Artifact (bytes)", sign=-1, of=_exact("artifact_bytes"), log=True, form=size),
    Measure(name="labels", label="Labelled rows used", sign=-1, log=True, form=count,
            of=lambda result: _whole(sum(result.labels_used.values())) if result.labels_used else None),
)
"""What an arm costs; less is better of each."""


def _whole(value: int) -> Interval:
    return Interval(value=float(value), low=float(value), high=float(value))
