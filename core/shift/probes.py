"""A linear probe a block: how well a linear head on these frozen features would do, by cross-validation."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.shift.arrays import subset, table
from core.shift.neighbours import majority

FOLDS = 3
MAX_ROWS = 5000


@dataclass(frozen=True, kw_only=True)
class ProbeScore:
    """Out-of-fold answers of a linear probe."""

    rows: NDArray[np.int64]
    """Row numbers judged (all, or a seeded sample above `MAX_ROWS`)."""
    predictions: NDArray[np.int64]
    """Out-of-fold predictions of those rows."""
    score: float
    """Share of those rows that are right."""
    majority: float
    """Baseline: the most frequent class everywhere."""


def measure(x: ArrayLike, labels: ArrayLike, *, seed: int = 0, folds: int = FOLDS) -> ProbeScore:
    """L2 logistic regression on features standardised on the training folds; same seed, same folds on any side or
    block.

    The penalty is fixed so that logits have a prior spread of about 3 whatever the width (C = 10 / d), so sides compare
    fairly.
    """
    full, truth = table(x), np.asarray(labels, np.int64)
    rows = subset(len(full), MAX_ROWS, seed)
    features, truth = full[rows].astype(np.float32), truth[rows]
    parts = stratified(truth, folds=folds, seed=seed)
    guesses = np.empty(len(truth), np.int64)
    for fold in range(folds):
        test = parts == fold
        if test.any():
            guesses[test] = fit_predict(features[~test], truth[~test], features[test])
    return ProbeScore(rows=rows, predictions=guesses, score=float(np.mean(guesses == truth)), majority=majority(truth))


def shuffled(x: ArrayLike, labels: ArrayLike, *, seed: int = 0, folds: int = FOLDS) -> float:
    """Baseline: accuracy of the same probe on shuffled labels, on one held-out fold."""
    full, truth = table(x), np.asarray(labels, np.int64)
    rows = subset(len(full), MAX_ROWS, seed)
    truth = np.random.default_rng(seed + 1).permutation(truth[rows])
    test = stratified(truth, folds=folds, seed=seed) == 0
    features = full[rows].astype(np.float32)
    return float(np.mean(fit_predict(features[~test], truth[~test], features[test]) == truth[test]))


def stratified(labels: NDArray[np.int64], *, folds: int, seed: int) -> NDArray[np.int64]:
    """A fold number a row, each class spread evenly and the folds of equal size, `(n_rows,)`."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    out = np.empty(len(labels), np.int64)
    out[order] = np.arange(len(labels)) % folds
    return out


def fit_predict(train: NDArray[np.float32], labels: NDArray[np.int64], test: NDArray[np.float32]) -> NDArray[np.int64]:
    """Predictions of one probe for the test rows; the one class there is when the training rows have no other."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if (labels == labels[0]).all():
        return np.full(len(test), labels[0])
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread[spread <= 1e-6 * np.abs(mean)] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=10.0 / train.shape[1], tol=1e-3, max_iter=200)
        model.fit((train - mean) / spread, labels)
    return np.asarray(model.predict((test - mean) / spread), np.int64)
