"""Bits per byte."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.metric import Floats, Judged, Metric, Need, Unit


def _parts(judged: Judged) -> NDArray[np.float64]:
    return np.stack([judged.of(Need.LOSSES), judged.of(Need.BYTES)], axis=1).astype(np.float64)


def _score(sums: NDArray[np.float64], n_rows: object) -> Floats:
    return np.asarray(sums[..., 0] / np.log(2) / np.maximum(sums[..., 1], 1))


METRIC = Metric(
    name="bits_per_byte", label="bits per byte",
    meaning="The bits that the model would need to write down a byte (UTF-8) of the taught text: comparable between "
            "models with different tokens.",
    higher_is_better=False, unit=Unit.PLAIN, needs=frozenset({Need.LOSSES, Need.BYTES}),
    parts=_parts, score=_score,
)
