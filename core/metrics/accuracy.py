"""Accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.metric import Judged, Metric, Need, Unit


def right(judged: Judged) -> NDArray[np.int64]:
    """1 for each row whose prediction is the label, else 0: `(n_rows, 1)`."""
    return (judged.of(Need.LABELS) == judged.of(Need.PREDICTIONS)).astype(np.int64)[:, None]


METRIC = Metric(
    name="accuracy", label="accuracy",
    meaning="The share of rows whose prediction is the label.",
    higher_is_better=True, unit=Unit.SHARE, needs=frozenset({Need.LABELS, Need.PREDICTIONS}),
    parts=right,
)
