"""Perplexity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.loss import a_token, nats_and_tokens
from core.metrics.metric import Floats, Metric, Need, Unit


def _score(sums: NDArray[np.float64], n_rows: object) -> Floats:
    return np.asarray(np.exp(a_token(sums, n_rows)))


METRIC = Metric(
    name="perplexity", label="perplexity",
    meaning="Among how many equally likely tokens the model hesitates at each taught token (e to the power of the "
            "loss); comparable only between models with the same tokens.",
    higher_is_better=False, unit=Unit.PLAIN, needs=frozenset({Need.LOSSES, Need.TOKENS}),
    parts=nats_and_tokens, score=_score,
)
