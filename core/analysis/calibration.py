"""Temperature scaling: one number that makes a classifier's confidence mean what it says, fitted on validation rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.analysis import predictions
from core.domain.dataset import Split

FEWEST_ROWS = 30
"""With fewer validation rows, no temperature is fitted."""
BOUNDS = (-3.0, 3.0)
"""Of its logarithm."""
FLOOR = 1e-12
"""Smallest probability, whose logarithm is taken."""


def temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature under which these probabilities (n_rows, n_classes) say least wrong of the true classes (mean
    negative log-likelihood; Guo et al. 2017, arXiv 1706.04599). Above 1 the classifier was too sure of itself."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled_now = scaled(probabilities, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(scaled_now[np.arange(len(labels)), labels], FLOOR)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=BOUNDS, method="bounded", options={"xatol": 1e-5}).x))


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities that the same logits give at that temperature; (n_rows, n_classes), float64."""
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR)) / temperature
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponents / exponents.sum(1, keepdims=True))


def of_run(folder: Path) -> float | None:
    """The temperature of a run's validation predictions; None where it kept none, or too few."""
    found = predictions.read(folder, Split.VALIDATION)
    if found is None or found.judged.probabilities is None or found.judged.labels is None:
        return None
    labels = np.asarray(found.judged.labels)
    if len(labels) < FEWEST_ROWS or labels.min() < 0:
        return None
    return temperature(np.asarray(found.judged.probabilities, np.float64), labels)
