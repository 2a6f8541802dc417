"""Logit lens of language models: what each block would say next if it were the last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError
from core.shift.arrays import chunks


@dataclass(frozen=True, kw_only=True)
class Lens:
    """One block's answers, one entry a position."""

    top: NDArray[np.int64]
    """Most likely token id."""
    rank: NDArray[np.int64]
    """Place of the true token, 1 = first."""
    probability: NDArray[np.float64]
    """Probability of the true token."""


def read(hidden: ArrayLike, unembedding: ArrayLike, truth: ArrayLike) -> Lens:
    """Read one block's states through the model's output layer.

    hidden: `(n_positions, n_dims)` after the model's final norm; unembedding: `(n_vocabulary, n_dims)`; truth: next
    token ids `(n_positions,)`. The last block reads the model's own logits. Raises DataError when shapes do not fit.
    """
    states, out, tokens = (np.asarray(hidden, np.float32), np.asarray(unembedding, np.float32),
                           np.asarray(truth, np.int64))
    if states.ndim != 2 or out.ndim != 2 or states.shape[1] != out.shape[1] or tokens.shape != (len(states),):
        raise DataError("These states cannot be read through the output layer.",
                        why=f"States are {states.shape}, the layer {out.shape}, the tokens {tokens.shape}.",
                        remedy="Extract the features again.")
    parts = [_read(states[rows] @ out.T, tokens[rows]) for rows in chunks(len(states), 16 * len(out))]
    top, rank, probability = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Lens(top=top, rank=rank, probability=probability)


def _read(logits: NDArray[np.float32], tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64],
                                                                           NDArray[np.float64]]:
    own = logits[np.arange(len(tokens)), tokens][:, None]
    rank = 1 + (logits > own).sum(axis=1)
    highest = logits.max(axis=1, keepdims=True)
    total = np.exp(logits - highest).sum(axis=1, dtype=np.float64)
    return logits.argmax(axis=1), rank, np.exp((own - highest)[:, 0]).astype(np.float64) / total
