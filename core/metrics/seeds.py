"""Several seeds of one arm as one measurement: the mean over seeds, with an interval that covers rows and seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.domain.run import Interval
from core.errors import DataError
from core.metrics.intervals import CHUNK_CELLS, score_tables, share, table_scores
from core.metrics.scores import check


def pooled(labels: ArrayLike, predictions: ArrayLike, *, n_classes: int, seed: int = 0, samples: int = 2000) -> dict[str, Interval]:
    """Mean accuracy and macro-F1 over seeds with 95 % percentile intervals: `{"accuracy": Interval, "macro_f1": Interval}`.

    labels (n_rows,), predictions (n_seeds, n_rows) on the same rows. Each resample draws rows and seeds, both with replacement and
    independently (the pigeonhole bootstrap, Owen 2007), so that the interval is of "another test set and another seed". It errs on the
    wide side for rows; of seeds, two or three show too little. Where every row is right, or every row wrong, with every seed, the
    bound is the exact binomial one over rows, as in `bootstrap`.
    Raises DataError on empty or unequal input.
    """
    guesses = np.atleast_2d(np.asarray(predictions))
    if not guesses.size:
        raise DataError("There are no predictions to pool.", remedy="Choose at least one seed with predictions.")
    tables = []
    for guess in guesses:
        truth, checked = check(labels, guess, n_classes)
        tables.append(score_tables(truth * n_classes + checked, n_classes))
    n_rows, n_seeds = guesses.shape[1], len(guesses)
    value = np.mean([table_scores(np.ones((1, n_rows), np.int64), *table)[0] for table in tables], axis=0)
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK_CELLS // n_rows)
    draws: list[NDArray[np.float64]] = []
    for start in range(0, samples, step):
        size = min(step, samples - start)
        rows = rng.multinomial(n_rows, np.full(n_rows, 1 / n_rows), size=size)  # (size, n_rows)
        seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=size) / n_seeds  # (size, n_seeds)
        scores = np.stack([table_scores(rows, *table) for table in tables], axis=1)  # (size, n_seeds, 2)
        draws.append((scores * seeds[:, :, None]).sum(1))
    low, high = np.percentile(np.concatenate(draws), [2.5, 97.5], axis=0)
    if value[0] in (0.0, 1.0):
        exact = share(int(value[0]) * n_rows, n_rows)
        low, high = np.full(2, exact.low), np.full(2, exact.high)
    return {name: Interval(value=float(value[i]), low=float(min(low[i], value[i])), high=float(max(high[i], value[i])))
            for i, name in enumerate(("accuracy", "macro_f1"))}
