"""The linear probe: logistic regression on standardised features, folded back into a linear layer."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.linalg  # noqa: F401 - loaded first, so that the limit below reaches it
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
FOLDS, UNCHOSEN, ABSENT_MARGIN = 5, 0.1, 10.0


def solve(values: np.ndarray, labels: np.ndarray, judged: np.ndarray, truth: np.ndarray, *, classes: int,
          seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weight (n_classes, width) and bias (n_classes,) of a linear layer on raw features. Its strength is chosen by the
    log-loss of the judged rows; by five-fold cross-validation where there are none."""
    present = np.unique(labels)
    mean, scale = values.mean(0, dtype=np.float64), spreads(values)
    standard = ((values - mean) / scale).astype(np.float64)
    with threadpool_limits(limits=1):
        if len(truth):
            _, coef, intercept = best([(standard, labels, (judged - mean) / scale, truth)])
        else:
            strength = best(folds(standard, labels, seed))[0] if len(labels) > len(present) else UNCHOSEN
            model = LogisticRegression(C=strength, max_iter=500, tol=1e-5).fit(standard, labels)
            coef, intercept = model.coef_, model.intercept_
    if len(present) == 2:
        coef, intercept = np.vstack([-coef[0] / 2, coef[0] / 2]), np.array([-intercept[0] / 2, intercept[0] / 2])
    raw = coef / scale
    offset = intercept - raw @ mean
    weight, bias = np.tile(raw.mean(0), (classes, 1)), np.full(classes, offset.min() - ABSENT_MARGIN)
    weight[present], bias[present] = raw, offset
    return weight.astype(np.float32), bias.astype(np.float32)


def spreads(values: np.ndarray) -> np.ndarray:
    """Standard deviations; none below half of the upper quartile, as units that hardly ever fire would decide alone."""
    found = values.std(0, dtype=np.float64)
    varying = found[found > 1e-6 * np.abs(values).max(initial=0.0)]
    return np.maximum(found, 0.5 * np.quantile(varying, 0.75)) if len(varying) else np.ones_like(found)


def best(parts: list[tuple[np.ndarray, ...]]) -> tuple[float, np.ndarray, np.ndarray]:
    """The strength with the least log-loss, and its fit on the last part."""
    losses, fitted = dict.fromkeys(STRENGTHS, 0.0), {}
    for values, labels, judged, truth in parts:
        model = LogisticRegression(max_iter=200, tol=1e-4, warm_start=True)
        for strength in STRENGTHS:
            model.C = strength
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(values, labels)
            losses[strength] += log_loss(model, judged, truth)
            fitted[strength] = model.coef_.copy(), model.intercept_.copy()
    chosen = next(strength for strength, loss in losses.items() if loss <= min(losses.values()) + 1e-9)
    return chosen, *fitted[chosen]


def log_loss(model: LogisticRegression, judged: np.ndarray, truth: np.ndarray) -> float:
    """Summed over the rows; a class without training rows counts as 1e-15."""
    column = {int(number): at for at, number in enumerate(model.classes_)}
    logs = model.predict_log_proba(judged)
    values = [logs[row, column[int(y)]] if int(y) in column else np.log(1e-15) for row, y in enumerate(truth)]
    return -float(np.sum(np.maximum(values, np.log(1e-15))))


def folds(values: np.ndarray, labels: np.ndarray, seed: int) -> list[tuple[np.ndarray, ...]]:
    """Stratified: rows of one class lie in different folds."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    number = np.empty(len(labels), np.int64)
    number[shuffled[np.argsort(labels[shuffled], kind="stable")]] = np.arange(len(labels)) % min(FOLDS, len(labels))
    parts = [(values[number != fold], labels[number != fold], values[number == fold], labels[number == fold])
             for fold in range(min(FOLDS, len(labels)))]
    return [part for part in parts if len(np.unique(part[1])) > 1]
