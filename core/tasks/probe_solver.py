"""The linear probe as what it is: a convex problem, solved on standardised features and folded back into a linear
head."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import DataError
from core.threads import one_thread

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Inverse regularisation `C` tried, ascending so that each fit starts from the one before."""
FOLDS = 5
UNCHOSEN = 0.1
"""`C` where nothing can be left out to choose it by: one row a class."""
ABSENT_CLASS_MARGIN = 10.0
"""How far below every present class the logit of a class without training rows lies."""
LEAST_SPREAD = 0.5
"""Share of the upper quartile of the deviations that none goes below. EfficientNet-Lite0, whose units are ReLU6, means
of three draws: 320 digits 0.896 of test rows with no such floor and 0.946 with this one, 324 openmoji 0.667 and 0.687.
MiniLM on BBC News answers as before but for a row: one of its 384 dimensions hardly varies."""


@dataclass(frozen=True)
class LinearHead:
    """weight (n_classes, n_dims) and bias (n_classes,) on raw features, fp32; strength: the chosen C."""

    weight: np.ndarray
    bias: np.ndarray
    strength: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(n_rows, n_dims) -> (n_rows, n_classes)."""
        return features @ self.weight.T + self.bias

    def outputs(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """What a network with this head says of rows with these features."""
        return {"logits": self.logits(features)}

    def tensors(self) -> dict[str, np.ndarray]:
        """The state of a linear layer."""
        return {"weight": self.weight, "bias": self.bias}


def solve(features: np.ndarray, labels: np.ndarray, *, validation: tuple[np.ndarray, np.ndarray] | None, n_classes: int,
          seed: int = 0) -> LinearHead:
    """Multinomial logistic regression; C by validation log-loss.

    Without validation rows, C is chosen by cross-validation (5 folds) and the fit repeated on all rows.
    features (n_rows, n_dims) raw; labels (n_rows,). Classes without a row get a logit that never wins.
    Raises DataError with fewer than two classes.
    """
    from sklearn.linear_model import LogisticRegression

    present = np.unique(labels)
    if len(present) < 2:
        raise DataError("The training rows hold only one class.", why="A classifier needs at least two to tell apart.",
                        remedy="Choose a larger label budget or another label column.")
    mean = features.mean(0, dtype=np.float64)
    scale = spreads(features)
    standard = ((features - mean) / scale).astype(np.float64)
    with one_thread():
        if validation is not None and len(validation[1]):
            judged = ((validation[0] - mean) / scale, validation[1])
            strength, (coef, intercept) = _best([(standard, labels, *judged)])
        else:
            strength = _best(_folds(standard, labels, seed))[0] if len(labels) > len(present) else UNCHOSEN
            model = LogisticRegression(C=strength, max_iter=500, tol=1e-5).fit(standard, labels)
            coef, intercept = model.coef_, model.intercept_
    return _fold(coef, intercept, mean, scale, present, n_classes, strength)


def spreads(features: np.ndarray) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Standard deviation of each dimension, (n_rows, n_dims) -> (n_dims,), none below `LEAST_SPREAD` of the upper
    quartile of those that vary by more than what 32 bits round; 1 where none does.

    A unit that fires in one row of a hundred has next to no deviation. Divided by that, the one row outvotes all other
    units, a new row in which it fires is decided by it alone, and the first steps of a run that starts from such a head
    lose what the head knew.
    """
    found = features.std(0, dtype=np.float64)
    varying = found[found > 1e-6 * np.abs(features).max(initial=0.0)]
    return np.maximum(found, LEAST_SPREAD * np.quantile(varying, 0.75)) if len(varying) else np.ones_like(found)


Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Features and labels to fit on, features and labels to judge by."""


def _best(parts: Sequence[Part]) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """The strength with the least log-loss over all judged rows, and its (coefficients, intercepts) on the last
    part."""
    from sklearn.linear_model import LogisticRegression

    losses = dict.fromkeys(STRENGTHS, 0.0)
    fitted: dict[float, tuple[np.ndarray, np.ndarray]] = {}
    for features, labels, judged, truth in parts:
        model = LogisticRegression(max_iter=200, tol=1e-4, warm_start=True)
        for strength in STRENGTHS:
            model.C = strength
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a weak fit that needs more iterations loses on the judged rows anyway
                model.fit(features, labels)
            losses[strength] += _log_loss(model.predict_log_proba(judged), model.classes_, truth) * len(truth)
            fitted[strength] = model.coef_.copy(), model.intercept_.copy()
    least = min(losses.values())
    chosen = next(strength for strength, loss in losses.items() if loss <= least + 1e-9)
    return chosen, fitted[chosen]


def _folds(features: np.ndarray, labels: np.ndarray, seed: int) -> list[Part]:
    """Stratified cross-validation: each row is judged once. Parts that would be fitted on one class alone are left
    out."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    number = np.empty(len(labels), np.int64)
    # neighbours, and so rows of one class, lie in different folds
    number[by_class] = np.arange(len(labels)) % min(FOLDS, len(labels))
    parts = [(features[number != fold], labels[number != fold], features[number == fold], labels[number == fold])
             for fold in range(min(FOLDS, len(labels)))]
    return [part for part in parts if len(np.unique(part[1])) > 1]


def _log_loss(log_probabilities: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> float:
    """Mean -log p of the true class; a class the model never saw counts as p = 1e-15 (scikit-learn's clip)."""
    column = {int(c): i for i, c in enumerate(classes)}
    values = [log_probabilities[row, column[int(y)]] if int(y) in column else np.log(1e-15)
              for row, y in enumerate(labels)]
    return -float(np.mean(np.maximum(values, np.log(1e-15))))


def _fold(coef: np.ndarray, intercept: np.ndarray, mean: np.ndarray, scale: np.ndarray, present: np.ndarray,
          n_classes: int, strength: float) -> LinearHead:
    if len(present) == 2:  # scikit-learn keeps one row for two classes: half of it each way is the same softmax
        coef, intercept = np.vstack([-coef[0] / 2, coef[0] / 2]), np.array([-intercept[0] / 2, intercept[0] / 2])
    raw = coef / scale
    offset = intercept - raw @ mean
    weight = np.tile(raw.mean(0), (n_classes, 1))
    bias = np.full(n_classes, offset.min() - ABSENT_CLASS_MARGIN)
    weight[present], bias[present] = raw, offset
    return LinearHead(weight.astype(np.float32), bias.astype(np.float32), strength)
