"""Exact match, with every answer of a closed set counting the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.metric import Floats, Judged, Metric, Need, Unit


def _parts(judged: Judged) -> NDArray[np.float64]:
    """Of every answer: whether the row has it, and whether it was exactly right; `(n_rows, 2 · n_answers)`."""
    answers = judged.of(Need.ANSWERS)
    has = (answers[:, None] == np.arange(int(answers.max()) + 1)).astype(np.float64)  # (n_rows, n_answers)
    return np.concatenate([has, has * judged.of(Need.EXACT).astype(np.float64)[:, None]], axis=1)


def _score(sums: NDArray[np.float64], n_rows: object) -> Floats:
    half = sums.shape[-1] // 2
    rows, right = sums[..., :half], sums[..., half:]
    there = rows > 0
    shares = np.where(there, right / np.maximum(rows, 1), 0.0)
    return np.asarray(shares.sum(-1) / np.maximum(there.sum(-1), 1))


METRIC = Metric(
    name="answer_accuracy", label="accuracy a class of answers",
    meaning="Where answers come from a small closed set: the share of exactly right ones among the rows of each "
            "answer, averaged over answers.",
    higher_is_better=True, unit=Unit.SHARE, needs=frozenset({Need.EXACT, Need.ANSWERS}), classes_alike=True,
    parts=_parts, score=_score,
)
