"""The best rotation from base to tuned, fitted on half the rows and judged on the other half."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.shift.arrays import Table, identical, pair
from core.shift.decomposition import svd


@dataclass(frozen=True, kw_only=True)
class Procrustes:
    """How much of the change a rotation and one scale explain."""

    residual: float
    """Squared distance left after rotation, both sides centred and scaled to norm 1, on rows not fitted: 0 = a pure
    rotation, 2 = unrelated."""
    angle: float
    """Degrees between the base rows and their rotated selves: 0 = not rotated, 90 = like a random rotation."""
    scale: float
    """Spread of the tuned side ÷ spread of the base side (centred Frobenius norms)."""
    determined: bool
    """False when the fitted half has fewer rows than dimensions: then the residual reads too large."""


def measure(x: ArrayLike, y: ArrayLike, *, seed: int = 0) -> Procrustes:
    """Orthogonal Procrustes (Schönemann 1966), held out; DataError when rows or widths differ.

    In sample it would overfit: 0.06 instead of 2 for independent data at n = 100, d = 768.
    """
    a, b = pair(x, y, same_width=True)
    half = len(a) // 2
    if identical(x, y):
        return Procrustes(residual=0.0, angle=0.0, scale=1.0, determined=True)
    order = np.random.default_rng(seed).permutation(len(a))
    fit, judge = order[:half], order[half:]
    mean_a, mean_b = a[fit].mean(axis=0), b[fit].mean(axis=0)
    rotation = _rotation(a[fit] - mean_a, b[fit] - mean_b)
    left, right = a[judge] - mean_a, b[judge] - mean_b
    turned = left @ rotation
    norm_a, norm_b = np.linalg.norm(left), np.linalg.norm(right)
    with np.errstate(invalid="ignore", divide="ignore"):
        residual = 2 - 2 * np.sum(turned * right) / (norm_a * norm_b)
        cosine = np.sum(turned * left) / norm_a**2
        scale = np.linalg.norm(b - b.mean(axis=0)) / np.linalg.norm(a - a.mean(axis=0))
    return Procrustes(residual=float(np.maximum(residual, 0)),
                      angle=float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
                      scale=float(scale), determined=half > a.shape[1])


def _rotation(a: Table, b: Table) -> Table:
    """The orthogonal matrix that brings a nearest to b, as of `scipy.linalg.orthogonal_procrustes`."""
    left, _, right = svd(a.T @ b)
    return np.asarray(left @ right, np.float64)
