"""Bootstrap intervals of accuracy and macro-F1.

Drawing n rows with replacement and tabulating them is one multinomial draw over the cells of the confusion table, so
the rows themselves are never resampled: exact, and as cheap as the table is small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.domain.run import Interval
from core.errors import DataError
from core.metrics.scores import check, f1_from_counts

if TYPE_CHECKING:
    from scipy import sparse

CHUNK_CELLS = 2_000_000
"""Numbers held at once: 16 MB."""


def bootstrap(labels: ArrayLike, predictions: ArrayLike, *, n_classes: int, seed: int = 0, samples: int = 2000) -> dict[str, Interval]:
    """95 % percentile intervals over rows: `{"accuracy": Interval, "macro_f1": Interval}`.

    samples: resamples of all rows with replacement. Same seed, same interval. The interval is widened to hold the measured
    value where the bootstrap is biased (macro-F1 on few rows). Where every row is right, or every row wrong, resampling can
    show no other outcome; then the bound is the exact binomial one (Clopper and Pearson 1934).
    Raises DataError on empty or unequal input.
    """
    truth, guess = check(labels, predictions, n_classes)
    if samples < 1:
        raise DataError("A bootstrap needs at least one resample.", remedy="Ask for 2000, the default.")
    cells, counts = np.unique(truth * n_classes + guess, return_counts=True)
    draws = _draw(cells, counts, n_classes, samples, np.random.default_rng(seed))
    value = table_scores(counts[None, :], *score_tables(cells, n_classes))[0]
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    right = int(np.sum(truth == guess))
    if right in (0, truth.size):
        from scipy import stats

        exact = stats.binomtest(right, truth.size).proportion_ci(0.95, method="exact")
        low, high = np.full(2, exact.low), np.full(2, exact.high)
    return {name: Interval(value=float(value[i]), low=float(min(low[i], value[i])), high=float(max(high[i], value[i])))
            for i, name in enumerate(("accuracy", "macro_f1"))}


def share(right: int, n_rows: int) -> Interval:
    """A share of rows (an accuracy) with the 95 % percentile interval of unlimited resamples, which is binomial.

    Where every row is right, or none, the bound is the exact binomial one, as in `bootstrap`.
    """
    from scipy import stats

    if not 0 <= right <= n_rows or not n_rows:
        raise DataError("A share needs at least one row.", why=f"It was asked for {right} of {n_rows} rows.")
    if right in (0, n_rows):
        exact = stats.binomtest(right, n_rows).proportion_ci(0.95, method="exact")
        return Interval(value=right / n_rows, low=float(exact.low), high=float(exact.high))
    low, high = stats.binom.ppf([0.025, 0.975], n_rows, right / n_rows) / n_rows
    return Interval(value=right / n_rows, low=float(low), high=float(high))


def _draw(cells: NDArray[np.int64], counts: NDArray[np.int64], n_classes: int, samples: int,
          rng: np.random.Generator) -> NDArray[np.float64]:
    """`(samples, 2)`: accuracy and macro-F1 of each resample."""
    tables = score_tables(cells, n_classes)
    n_rows = int(counts.sum())
    step = max(1, CHUNK_CELLS // max(len(cells), n_classes))
    parts = [table_scores(rng.multinomial(n_rows, counts / n_rows, size=min(step, samples - start)), *tables)
             for start in range(0, samples, step)]
    return np.concatenate(parts)


def score_tables(cells: NDArray[np.int64], n_classes: int) -> tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]:
    """Occupied cells -> classes `(n_cells, n_classes)`: by right answer, by label, by prediction."""
    from scipy import sparse

    truth, guess = np.divmod(cells, n_classes)
    lines, shape = np.arange(len(cells)), (len(cells), n_classes)
    hit = truth == guess
    ones = np.ones(len(cells), np.int64)
    return (sparse.csr_array((ones[hit], (lines[hit], truth[hit])), shape=shape),
            sparse.csr_array((ones, (lines, truth)), shape=shape), sparse.csr_array((ones, (lines, guess)), shape=shape))


def table_scores(counts: NDArray[np.int64], right: sparse.csr_array, labelled: sparse.csr_array,
            predicted: sparse.csr_array) -> NDArray[np.float64]:
    """Counts of the occupied cells `(n_tables, n_cells)` -> `(n_tables, 2)`: accuracy, macro-F1."""
    hits = counts @ right
    return np.stack([hits.sum(1) / counts.sum(1), f1_from_counts(hits, counts @ labelled, counts @ predicted)], axis=1)
