"""Share of taught tokens that were the likeliest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.loss import a_token
from core.metrics.metric import Judged, Metric, Need, Unit


def _parts(judged: Judged) -> NDArray[np.float64]:
    return np.stack([judged.of(Need.RIGHT), judged.of(Need.TOKENS)], axis=1).astype(np.float64)


METRIC = Metric(
    name="token_accuracy", label="token accuracy",
    meaning="The share of taught tokens that the model found likeliest, given the true text before.",
    higher_is_better=True, unit=Unit.SHARE, needs=frozenset({Need.RIGHT, Need.TOKENS}),
    parts=_parts, score=a_token,
)
