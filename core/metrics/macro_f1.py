"""Macro-F1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.metrics.metric import Floats, Judged, Metric, Need, Unit

if TYPE_CHECKING:
    from scipy import sparse


def counts(judged: Judged) -> sparse.csr_array:
    """What a row counts for in each class, `(n_rows, 3 · n_classes)`: right, labelled so, predicted so."""
    from scipy import sparse

    labels, predictions, n_classes = judged.of(Need.LABELS), judged.of(Need.PREDICTIONS), judged.n_classes
    rows = np.arange(judged.n_rows)
    hit = labels == predictions
    lines = np.concatenate([rows[hit], rows, rows])
    columns = np.concatenate([labels[hit], n_classes + labels, 2 * n_classes + predictions])
    return sparse.csr_array((np.ones(len(lines), np.int64), (lines, columns)), shape=(judged.n_rows, 3 * n_classes))


def mean_of_classes(sums: NDArray[Any], n_rows: int) -> Floats:
    """The unweighted mean of F1 over the classes that occur among labels or predictions.

    Equal to `sklearn.metrics.f1_score(average="macro", zero_division=0)`; a class that occurs nowhere does not count.
    """
    right, labelled, predicted = np.split(np.asarray(sums), 3, axis=-1)
    total = np.asarray(labelled + predicted, np.float64)
    per_class = np.divide(2.0 * right, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(per_class.sum(-1) / np.maximum((total > 0).sum(-1), 1), np.float64)


METRIC = Metric(
    name="macro_f1", label="macro-F1",
    meaning="The F1 score of each class, averaged with equal weight, so that small classes count as much as "
            "large ones.",
    higher_is_better=True, unit=Unit.SHARE, needs=frozenset({Need.LABELS, Need.PREDICTIONS}),
    parts=counts, score=mean_of_classes, classes_alike=True,
)
