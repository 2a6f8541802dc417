"""Whether a run's confidence means what it says: accuracy over confidence on its test rows, before and after
temperature scaling that was fitted on validation rows."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.analysis import calibration, predictions
from core.domain.dataset import Split
from core.domain.run import Interval
from core.metrics import Judged
from core.metrics.expected_calibration_error import BINS, METRIC
from core.metrics.intervals import bootstrap

NORMAL = 1.959964
"""95 % of a normal distribution lie within so many standard deviations."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Rows of about the same confidence."""

    confidence: float
    """Their mean."""
    right: Interval
    """The share that is right, with Wilson's 95 % interval (1927)."""
    rows: int


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Of one run."""

    rows: int
    temperature: float | None
    """Fitted on validation rows; None where there are too few of them."""
    bins: tuple[Bin, ...]
    error: Interval
    """Expected calibration error of the test rows, as the run says."""
    scaled_bins: tuple[Bin, ...] = ()
    scaled_error: Interval | None = None
    """At that temperature."""


def of_run(folder: Path) -> Reliability | None:
    """None for a run without test rows that are classified."""
    files = [predictions.path(folder, split) for split in (Split.TEST, Split.VALIDATION)]
    return _of_run(folder, tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files))


@functools.lru_cache(maxsize=128)
def _of_run(folder: Path, stamps: tuple[int, ...]) -> Reliability | None:
    """stamps: part of the key, so that rewritten predictions are read anew."""
    found = predictions.read(folder, Split.TEST)
    if found is None or found.judged.probabilities is None or found.judged.labels is None:
        return None
    temperature = calibration.of_run(folder)
    plain = of_rows(found.judged)
    if temperature is None:
        return plain
    probabilities = calibration.scaled(np.asarray(found.judged.probabilities), temperature)
    after = of_rows(dataclasses.replace(found.judged, probabilities=probabilities))
    return dataclasses.replace(plain, temperature=temperature, scaled_bins=after.bins, scaled_error=after.error)


def of_rows(judged: Judged) -> Reliability:
    """Of rows with labels and probabilities, as they are."""
    assert judged.probabilities is not None and judged.predictions is not None and judged.labels is not None
    confidence = np.asarray(judged.probabilities, np.float64)[np.arange(judged.n_rows), judged.predictions]
    right = np.asarray(judged.labels) == np.asarray(judged.predictions)
    bins = np.digitize(confidence, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
    kept = [_bin(confidence[bins == number], right[bins == number]) for number in np.unique(bins)]
    return Reliability(rows=judged.n_rows, temperature=None, bins=tuple(kept),
                       error=bootstrap(judged, [METRIC])[METRIC.name])


def _bin(confidence: np.ndarray, right: np.ndarray) -> Bin:
    rows, share = len(right), float(right.mean())
    square = NORMAL ** 2 / rows
    middle = (share + square / 2) / (1 + square)
    half = NORMAL * np.sqrt(share * (1 - share) / rows + square / (4 * rows)) / (1 + square)
    return Bin(confidence=float(confidence.mean()), rows=rows, right=Interval(
        value=share, low=max(0.0, float(middle - half)), high=min(1.0, float(middle + half))))
