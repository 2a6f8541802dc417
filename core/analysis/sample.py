"""The probe sample: the fixed rows of a dataset at which models are compared, and those of a second dataset."""

from __future__ import annotations

import numpy as np

DEFAULT_ROWS, MOST_ROWS = 2000, 20_000
SHIFT_SHARE = 0.25
"""Most of the sample that may come from the shift set."""
SECOND_ROWS = 500
"""Most rows of a second dataset."""
LEAST_ROWS = 10
"""Test and validation rows below which training rows stand in for them."""
SHIFT_SET, NOTHING = "shift", "none"
"""What an argument `second` says instead of a second dataset's id: the dataset's own shift rows are compared with the
target rows, or no rows at all."""


def probe_sample(labels: np.ndarray, splits: np.ndarray, *, rows: int = DEFAULT_ROWS, seed: int = 0) -> np.ndarray:
    """Indices of the sample, sorted: test rows first, validation rows stratified by class, and up to a quarter shift
    rows.

    Test and shift rows are drawn without a look at their labels, which choose nothing. Where a dataset has next to no
    test and validation rows, training rows are added: see `of_training`. labels (n_rows,) int, splits (n_rows,) str.
    The same dataset, `rows` and `seed` give the same sample.
    """
    from core.data.splits import label_budget

    rows = min(rows, MOST_ROWS)
    labels = _seen(labels, splits)
    shift = np.flatnonzero(splits == "shift")
    shift = shift[label_budget(labels[shift], int(rows * SHIFT_SHARE), seed=seed)] if len(shift) else shift
    room = rows - len(shift)
    chosen = [shift]
    order = ["test", "validation"]
    if np.isin(splits, order).sum() < LEAST_ROWS:
        order.append("train")
    for split in order:
        found = np.flatnonzero(splits == split)
        if room > 0 and len(found):
            taken = found[label_budget(labels[found], room, seed=seed)]
            chosen.append(taken)
            room -= len(taken)
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def of_training(splits: np.ndarray) -> str | None:
    """What to say of a sample that holds training rows, given the splits of its rows; None for all other samples."""
    count = int((np.asarray(splits) == "train").sum())
    if not count:
        return None
    return (f"The dataset has too few test and validation rows, so {count:,} training rows stand in for them. On rows "
            "that it was trained on, a model looks better than it is.")


def second_sample(splits: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Indices of the rows of a second dataset, sorted: of all its splits (no model here was trained on them) but the
    shift set, which is of yet another domain. Drawn without a look at labels."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(splits != "shift"))
    return np.sort(rows[:SECOND_ROWS]).astype(np.int64)


def _seen(labels: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """The labels that may decide anything; -1 for test and shift rows."""
    return np.where(np.isin(splits, ["test", "shift"]), -1, labels)
