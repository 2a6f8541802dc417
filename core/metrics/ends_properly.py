"""Share of conversations whose last answer ends where it should."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.metric import Judged, Metric, Need, Unit


def _parts(judged: Judged) -> NDArray[np.float64]:
    return judged.of(Need.ENDS).astype(np.float64)[:, None]


METRIC = Metric(
    name="ends_properly", label="answers ended",
    meaning="The share of conversations in which the end token is the likeliest one right behind the last answer: a "
            "model that has not learned to stop goes on talking.",
    higher_is_better=True, unit=Unit.SHARE, needs=frozenset({Need.ENDS}),
    parts=_parts,
)
