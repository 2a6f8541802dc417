"""The registry of metrics, for all tasks. A new metric is one file in this folder and one line here.

Arithmetic only: numpy, scipy and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module

from core.domain.run import Interval
from core.metrics import intervals
from core.metrics.metric import Judged, Metric, Need, Unit

__all__ = ["METRICS", "OF_CLASSES", "REGISTRY", "Judged", "Metric", "Need", "Unit", "measure", "merit", "primary",
           "shared", "values"]

FILES = (
    "accuracy",
    "macro_f1",
    "expected_calibration_error",
    "loss",
    "perplexity",
    "bits_per_byte",
    "token_accuracy",
    "exact_match",
    "answer_accuracy",
    "ends_properly",
)
"""Metrics in the order of the screen: a file of that name each, with its `METRIC`.

Of those that a task has, the first one decides: which checkpoint is kept, which run stands first.
"""

METRICS: tuple[Metric, ...] = tuple(import_module(f"{__name__}.{name}").METRIC for name in FILES)

OF_CLASSES: tuple[Metric, ...] = tuple(
    metric for metric in METRICS if metric.needs <= {Need.LABELS, Need.PREDICTIONS, Need.PROBABILITIES})
"""Those of rows with a class; the others are of language models."""

REGISTRY: dict[str, Metric] = {metric.name: metric for metric in METRICS}


def measure(judged: Judged, *, seed: int = 0, samples: int = intervals.SAMPLES) -> dict[str, Interval]:
    """Every metric that these rows have, by name, with its 95 % interval; see `intervals.bootstrap`."""
    found = intervals.bootstrap(judged, shared([judged]), seed=seed, samples=samples)
    return {metric.name: found[metric.name] for metric in METRICS if metric.name in found}


def values(judged: Judged) -> dict[str, float]:
    """Every metric that these rows have, by name, without intervals: cheap enough for each evaluation in training."""
    return {metric.name: metric.value(judged) for metric in shared([judged])}


def primary(names: Iterable[str]) -> Metric | None:
    """The metric that decides among those of these names; None when no name is a metric's."""
    known = set(names)
    return next((metric for metric in METRICS if metric.name in known), None)


def merit(scores: Mapping[str, float]) -> float:
    """The value of the metric that decides among these, turned so that higher is better.

    Raises KeyError without a metric.
    """
    metric = primary(scores)
    if metric is None:
        raise KeyError(f"No metric among {', '.join(scores)}.")
    return metric.sign * scores[metric.name]


def shared(judged: Sequence[Judged]) -> list[Metric]:
    """The metrics that all of these have, in the order of the registry."""
    return [metric for metric in METRICS if all(metric.applies_to(each) for each in judged)]
