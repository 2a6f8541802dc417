"""The probe sample: the fixed rows of a dataset at which models are compared."""

from __future__ import annotations

import numpy as np

DEFAULT_ROWS, MOST_ROWS = 2000, 20_000
SHIFT_SHARE = 0.25
"""Most of the sample that may come from the shift set."""


def probe_sample(labels: np.ndarray, splits: np.ndarray, *, rows: int = DEFAULT_ROWS, seed: int = 0) -> np.ndarray:
    """Indices of the sample, sorted: test and validation rows stratified by class, test first, then up to a quarter shift rows.

    labels (n_rows,) int, splits (n_rows,) str. The same dataset, `rows` and `seed` give the same sample.
    """
    from core.data.splits import label_budget

    rows = min(rows, MOST_ROWS)
    shift = np.flatnonzero(splits == "shift")
    shift = shift[label_budget(labels[shift], int(rows * SHIFT_SHARE), seed=seed)] if len(shift) else shift
    room = rows - len(shift)
    chosen = [shift]
    for split in ("test", "validation"):
        found = np.flatnonzero(splits == split)
        if room > 0 and len(found):
            taken = found[label_budget(labels[found], room, seed=seed)]
            chosen.append(taken)
            room -= len(taken)
    return np.sort(np.concatenate(chosen)).astype(np.int64)
