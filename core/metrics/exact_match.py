"""Share of conversations whose last answer is exactly right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.metric import Judged, Metric, Need, Unit


def _parts(judged: Judged) -> NDArray[np.float64]:
    return judged.of(Need.EXACT).astype(np.float64)[:, None]


METRIC = Metric(
    name="exact_match", label="exact match",
    meaning="The share of conversations in which always taking the likeliest token gives the last answer exactly, its "
            "end included.",
    higher_is_better=True, unit=Unit.SHARE, needs=frozenset({Need.EXACT}),
    parts=_parts,
)
