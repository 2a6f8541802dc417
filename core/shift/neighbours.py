"""Nearest neighbours by cosine, once a side: neighbours kept, k-NN accuracy, and the neighbours of one row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError
from core.shift.arrays import chunks, table, unit

KEPT_K = 10
ACCURACY_K = 20
_EXACT_ROWS = 5000
"""Up to so many rows similarities are float64; above, float32 halves time and memory."""


def nearest(x: ArrayLike, *, k: int = ACCURACY_K) -> NDArray[np.int32]:
    """Row numbers of the k nearest other rows by cosine, nearest first, `(n_rows, k)`; k is cut to n_rows − 1.
    Blockwise.

    Raises DataError below 2 rows.
    """
    rows = unit(table(x))
    n = len(rows)
    if n < 2:
        raise DataError("Neighbours need at least two rows.", remedy="Use a larger probe sample.")
    k = min(k, n - 1)
    if n > _EXACT_ROWS:
        rows = rows.astype(np.float32)
    out = np.empty((n, k), np.int32)
    for part in chunks(n, 24 * n):
        similar = rows[part] @ rows.T
        np.negative(similar, out=similar)
        lines = np.arange(similar.shape[0])
        similar[lines, np.arange(n)[part]] = np.inf
        best = np.argpartition(similar, k - 1, axis=1)[:, :k]
        best.sort(axis=1)
        order = np.argsort(similar[lines[:, None], best], axis=1, kind="stable")
        out[part] = best[lines[:, None], order]
    return out


def kept(before: NDArray[np.int32], after: NDArray[np.int32], *, k: int = KEPT_K) -> NDArray[np.float64]:
    """Share of each row's k nearest neighbours that it keeps, `(n_rows,)`; from two answers of `nearest`."""
    k = min(k, before.shape[1], after.shape[1])
    same = [(before[rows, :k, None] == after[rows, None, :k]).any(axis=2).sum(axis=1)
            for rows in chunks(len(before), k * k)]
    return np.concatenate(same) / k


def overlap(x: ArrayLike, y: ArrayLike, *, k: int = KEPT_K) -> float:
    """Mean share of the k nearest neighbours (cosine) that rows keep; by chance `chance(n, k)`."""
    return float(np.mean(kept(nearest(x, k=k), nearest(y, k=k), k=k)))


def chance(n_rows: int, *, k: int = KEPT_K) -> float:
    """Neighbours kept between unrelated features: k / (n − 1)."""
    return min(1.0, k / max(1, n_rows - 1))


def predictions(neighbours: NDArray[np.int32], labels: ArrayLike, *, k: int = ACCURACY_K) -> NDArray[np.int64]:
    """Leave-one-out majority vote of the k nearest rows, `(n_rows,)`; ties go to the nearer class by rank."""
    truth = np.asarray(labels, np.int64)
    near = truth[neighbours[:, :k]]
    n, k = near.shape
    classes = int(truth.max()) + 1
    weights = np.broadcast_to(1.0 + np.arange(k, 0, -1) * (0.5 / (k * (k + 1))), (n, k))
    votes = np.bincount((np.arange(n)[:, None] * classes + near).ravel(), weights=weights.ravel(),
                        minlength=n * classes)
    return np.asarray(votes.reshape(n, classes).argmax(axis=1), np.int64)


def knn_accuracy(neighbours: NDArray[np.int32], labels: ArrayLike, *, k: int = ACCURACY_K) -> float:
    """Leave-one-out k-NN accuracy, 0–1: how far rows of one class lie together. Baseline: `majority(labels)`."""
    return float(np.mean(predictions(neighbours, labels, k=k) == np.asarray(labels)))


def majority(labels: ArrayLike) -> float:
    """Share of the most frequent class: what guessing it everywhere would score."""
    counts = np.unique(np.asarray(labels), return_counts=True)[1]
    return float(counts.max() / counts.sum())


@dataclass(frozen=True, kw_only=True)
class Card:
    """The neighbours of one row on both sides; row numbers, nearest first."""

    row: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    lost: tuple[int, ...]
    """Among the neighbours before, gone after."""
    gained: tuple[int, ...]
    """Among the neighbours after, new."""


def card(before: NDArray[np.int32], after: NDArray[np.int32], *, row: int, k: int = 5) -> Card:
    """The k nearest neighbours of one row before and after, gained and lost marked."""
    old, new = (tuple(int(i) for i in side[row, :k]) for side in (before, after))
    return Card(row=row, before=old, after=new, lost=tuple(i for i in old if i not in new),
                gained=tuple(i for i in new if i not in old))
