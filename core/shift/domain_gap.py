"""How far target rows and shift set lie apart in one model: MMD² with a permutation test, and Fréchet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError
from core.shift.arrays import Table, centred, squares, subset, table
from core.shift.decomposition import eigh, svd


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The distance between two groups and its chance level."""

    mmd: float
    """Unbiased MMD², Gaussian kernel at the median distance: about 0 for one population (can be negative)."""
    p_value: float
    """Share of random regroupings with an MMD² at least as large (permutation test; never 0)."""
    frechet: float
    """Fréchet distance after PCA to at most 64 dimensions, in squared feature units."""
    frechet_split_half: float
    """The same between two random halves of the first group: what it reads when nothing differs."""


def measure(x: ArrayLike, y: ArrayLike, *, permutations: int = 200, max_rows: int = 1000, seed: int = 0) -> Gap:
    """The gap between rows of two domains under one model; at most `max_rows` seeded rows of each group.

    Raises DataError when a group has fewer than 4 rows or the widths differ.
    """
    a, b = table(x), table(y)
    if a.shape[1] != b.shape[1] or min(len(a), len(b)) < 4:
        raise DataError("The gap between these two domains cannot be measured.",
                        why=f"It needs at least 4 rows of each and one width; these are {a.shape} and {b.shape}.",
                        remedy="Use a larger probe sample, or a shift set with more rows.")
    a, b = a[subset(len(a), max_rows, seed)], b[subset(len(b), max_rows, seed)]
    value, p_value = mmd(a, b, permutations=permutations, seed=seed)
    gap, null = frechet_reduced(a, b, seed=seed)
    return Gap(mmd=value, p_value=p_value, frechet=gap, frechet_split_half=null)


def mmd(a: Table, b: Table, *, permutations: int = 200, seed: int = 0) -> tuple[float, float]:
    """Unbiased MMD² (Gretton et al. 2012) and its permutation p-value; all regroupings share one kernel matrix."""
    m, n = len(a), len(b)
    kernel = _kernel(np.concatenate([a, b]))
    rng = np.random.default_rng(seed)
    groups = np.zeros((m + n, permutations + 1), np.float32)
    groups[:m, 0] = 1
    for column in range(1, permutations + 1):
        groups[rng.permutation(m + n)[:m], column] = 1
    sums = (kernel @ groups).astype(np.float64)
    inside = np.einsum("ij,ij->j", sums, groups)
    across = sums.sum(axis=0) - inside
    total = float(kernel.sum(dtype=np.float64))
    values = inside / (m * (m - 1)) + (total - inside - 2 * across) / (n * (n - 1)) - 2 * across / (m * n)
    return float(values[0]), float((1 + np.sum(values[1:] >= values[0])) / (1 + permutations))


def _kernel(rows: Table) -> NDArray[np.float32]:
    """Gaussian kernel as wide as the median distance (over every other row and column), zero diagonal, `(n, n)`."""
    c = centred(rows)
    norms = squares(c)
    distances = np.asarray(norms[:, None] - 2 * (c @ c.T) + norms[None, :])
    np.maximum(distances, 0, out=distances)
    middle = float(np.median(distances[::2, 1::2]))
    kernel = np.exp((distances / (-2 * middle if middle > 0 else -1.0)).astype(np.float32))
    np.fill_diagonal(kernel, 0)
    return kernel


def frechet(x: ArrayLike, y: ArrayLike) -> float:
    """Fréchet distance of two Gaussians fitted to the rows: ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), squared feature
    units.

    Badly biased when rows are few (449 between two samples of one Gaussian at n = 100, d = 384): use `frechet_reduced`.
    """
    a, b = table(x), table(y)
    roots = [_root(np.cov(t, rowvar=False, bias=True).reshape(t.shape[1], -1)) for t in (a, b)]
    mixed = svd(roots[0] @ roots[1], full_matrices=False)[1].sum()
    spread = sum(float(np.sum(np.square(r))) for r in roots)
    return float(max(0.0, np.sum(np.square(a.mean(axis=0) - b.mean(axis=0))) + spread - 2 * mixed))


def frechet_reduced(a: Table, b: Table, *, dims: int = 64, seed: int = 0) -> tuple[float, float]:
    """Fréchet after PCA (fitted on both groups), and between two random halves of the first group."""
    both = np.concatenate([a, b])
    middle = both.mean(axis=0)
    scatter = (both - middle).T @ (both - middle)
    directions = eigh(scatter)[1][:, ::-1][:, : min(dims, len(both) - 1)]
    left, right = (a - middle) @ directions, (b - middle) @ directions
    order = np.random.default_rng(seed).permutation(len(left))
    size = min(len(left) // 2, len(right))
    return frechet(left, right), frechet(left[order[:size]], left[order[size: 2 * size]])


def _root(covariance: Table) -> Table:
    """Symmetric square root of a covariance."""
    values, vectors = eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T, np.float64)
