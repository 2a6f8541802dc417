"""Accuracy, macro-F1 and the confusion table, equal to scikit-learn's on the same input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError


def check(labels: ArrayLike, predictions: ArrayLike, n_classes: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both as int64 vectors `(n_rows,)`; DataError when empty, of unequal length, or outside `0 … n_classes-1`."""
    truth, guess = np.asarray(labels), np.asarray(predictions)
    if truth.ndim != 1 or truth.shape != guess.shape or not truth.size:
        raise DataError("These predictions cannot be scored.",
                        why=f"There are {truth.size} labels and {guess.size} predictions; scoring needs one prediction a row, and a row.",
                        remedy="Score predictions against the labels of the same rows.")
    for name, values in (("label", truth), ("prediction", guess)):
        if not np.issubdtype(values.dtype, np.integer) or values.min() < 0 or (n_classes is not None and values.max() >= n_classes):
            top = "" if n_classes is None else f" below {n_classes}"
            raise DataError("These predictions cannot be scored.", why=f"Every {name} must be a class number from 0{top}.",
                            remedy="Check that labels and predictions come from the same dataset.")
    return truth.astype(np.int64), guess.astype(np.int64)


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Share of rows whose prediction is the label, 0–1. Raises DataError on empty or unequal input."""
    truth, guess = check(labels, predictions)
    return float(np.mean(truth == guess))


def confusion(labels: ArrayLike, predictions: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Rows of each (label, prediction) pair, `(n_classes, n_classes)`: line = label, column = prediction."""
    truth, guess = check(labels, predictions, n_classes)
    cells: NDArray[np.int64] = np.bincount(truth * n_classes + guess, minlength=n_classes * n_classes)
    return cells.reshape(n_classes, n_classes)


def macro_f1(labels: ArrayLike, predictions: ArrayLike, n_classes: int) -> float:
    """Unweighted mean of F1 over the classes that occur among labels or predictions, 0–1.

    Equal to `sklearn.metrics.f1_score(average="macro", zero_division=0)`; a class that occurs nowhere does not count.
    """
    truth, guess = check(labels, predictions, n_classes)
    right = np.bincount(truth[truth == guess], minlength=n_classes)
    return float(f1_from_counts(right, np.bincount(truth, minlength=n_classes), np.bincount(guess, minlength=n_classes)))


def f1_from_counts(right: NDArray[Any], labelled: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.float64]:
    """Macro-F1 from counts a class on the last axis `(…, n_classes)`: right ones, labelled so, predicted so."""
    total = np.asarray(labelled + predicted, np.float64)
    per_class = np.divide(2.0 * right, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(per_class.sum(-1) / np.maximum((total > 0).sum(-1), 1), np.float64)
