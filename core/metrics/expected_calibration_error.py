"""Expected calibration error.

Guo, Pleiss, Sun and Weinberger (2017), "On Calibration of Modern Neural Networks", equation 3. Sampling noise within
bins adds to it, so that on few rows it reads too high, and a resample of rows higher still: the interval lies to the
side of caution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.metrics.metric import Floats, Judged, Metric, Need, Unit

if TYPE_CHECKING:
    from scipy import sparse

BINS = 15
"""Of equal width over (0, 1], each closed on the right, as in the paper."""


def gaps(judged: Judged) -> sparse.csr_array:
    """Right (1 or 0) less the confidence in the predicted class, in the column of its bin: `(n_rows, BINS)`."""
    from scipy import sparse

    rows, predictions = np.arange(judged.n_rows), judged.of(Need.PREDICTIONS)
    confidence = np.asarray(judged.of(Need.PROBABILITIES)[rows, predictions], np.float64)
    right = judged.of(Need.LABELS) == predictions
    bins = np.digitize(confidence, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
    return sparse.csr_array((right - confidence, (rows, bins)), shape=(judged.n_rows, BINS))


def weighted(sums: NDArray[Any], n_rows: int) -> Floats:
    """Each bin's |accuracy − confidence|, weighted by its share of the rows: the bin's size cancels out."""
    return np.asarray(np.abs(sums).sum(-1) / n_rows, np.float64)


METRIC = Metric(
    name="expected_calibration_error", label="expected calibration error",
    meaning="How far the confidence in predictions lies from the share of them that are right, "
            "averaged over 15 bins of confidence.",
    higher_is_better=False, unit=Unit.SHARE, needs=frozenset({Need.LABELS, Need.PREDICTIONS, Need.PROBABILITIES}),
    parts=gaps, score=weighted,
)
