"""What all scores of labels and predictions rest on: input that can be scored, and the confusion table."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError


def check(labels: ArrayLike, predictions: ArrayLike,
          n_classes: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both as int64 vectors `(n_rows,)`; DataError when empty, of unequal length, or outside `0 … n_classes-1`."""
    truth, guess = np.asarray(labels), np.asarray(predictions)
    if truth.ndim != 1 or truth.shape != guess.shape or not truth.size:
        raise DataError("These predictions cannot be scored.",
                        why=f"There are {truth.size} labels and {guess.size} predictions; "
                            "scoring needs one prediction a row, and a row.",
                        remedy="Score predictions against the labels of the same rows.")
    for name, values in (("label", truth), ("prediction", guess)):
        too_high = n_classes is not None and values.max() >= n_classes
        if not np.issubdtype(values.dtype, np.integer) or values.min() < 0 or too_high:
            top = "" if n_classes is None else f" below {n_classes}"
            raise DataError("These predictions cannot be scored.",
                            why=f"Every {name} must be a class number from 0{top}.",
                            remedy="Check that labels and predictions come from the same dataset.")
    return truth.astype(np.int64), guess.astype(np.int64)


def confusion(labels: ArrayLike, predictions: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Rows of each (label, prediction) pair, `(n_classes, n_classes)`: line = label, column = prediction."""
    truth, guess = check(labels, predictions, n_classes)
    cells: NDArray[np.int64] = np.bincount(truth * n_classes + guess, minlength=n_classes * n_classes)
    return cells.reshape(n_classes, n_classes)
