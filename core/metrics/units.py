"""What is resampled: rows, or groups of rows that are not independent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.metrics.metric import Floats, Judged, Metric, Parts


class Units:
    """The rows of one split, or their groups: what a bootstrap draws."""

    def __init__(self, judged: Judged) -> None:
        self.n_rows = judged.n_rows
        self._member: NDArray[np.int64] | None = None
        self.sizes: NDArray[np.int64] | None = None
        """Rows of each group; None where rows stand for themselves."""
        if judged.groups is not None:
            _, self._member = np.unique(judged.groups, return_inverse=True)
            self.sizes = np.bincount(self._member)

    @property
    def count(self) -> int:
        return self.n_rows if self.sizes is None else len(self.sizes)

    def parts(self, metric: Metric, judged: Judged) -> Parts:
        """What each of them adds to the sums, `(count, n_parts)`."""
        table = metric.parts(judged)
        if self._member is None or self.sizes is None:
            return table
        dense = np.asarray(table.todense() if hasattr(table, "todense") else table)
        summed = np.zeros((len(self.sizes), dense.shape[1]), np.result_type(dense, np.int64))
        np.add.at(summed, self._member, dense)
        return summed

    def values(self, metric: Metric, parts: Parts, occurrences: NDArray[np.int64]) -> Floats:
        """The metric of each resample. occurrences: how often each unit is drawn, `(n_resamples, count)`."""
        rows = self.n_rows if self.sizes is None else occurrences @ self.sizes
        return metric.of_sums(occurrences @ parts, rows)
