"""Loss of a language model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.metric import Floats, Judged, Metric, Need, Unit


def nats_and_tokens(judged: Judged) -> NDArray[np.float64]:
    """Each row's nats and taught tokens, `(n_rows, 2)`."""
    return np.stack([judged.of(Need.LOSSES), judged.of(Need.TOKENS)], axis=1).astype(np.float64)


def a_token(sums: NDArray[np.float64], n_rows: object) -> Floats:
    """Nats a taught token; a row counts by its tokens."""
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))


METRIC = Metric(
    name="loss", label="loss",
    meaning="How surprised the model is by a taught token, in nats: minus the logarithm of the probability that it "
            "gave it, given the true text before.",
    higher_is_better=False, unit=Unit.PLAIN, needs=frozenset({Need.LOSSES, Need.TOKENS}),
    parts=nats_and_tokens, score=a_token,
)
