"""The shape of one side's features: class collapse (NC1), directions used, and how well classes separate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.shift.arrays import centred, squares, table, unit
from core.shift.decomposition import svd


def nc1(x: ArrayLike, labels: ArrayLike) -> float:
    """Neural collapse: Tr(Σ_W Σ_B⁺) / C. 0 = every row sits on its class mean; classes count equally in Σ_B.

    Papyan, Han and Donoho 2020. The pseudo-inverse keeps exactly C − 1 directions. NaN with fewer than 2 classes, when
    the width is below C − 1, or when class means coincide. Simplex with noise σ: σ² (C − 1)² / C.
    """
    full, groups = table(x), _groups(labels)
    count = int(groups.max()) + 1
    if count < 2 or full.shape[1] < count - 1:
        return float("nan")
    sizes = np.bincount(groups)
    means = class_sums(full, groups) / sizes[:, None]
    between = (means - means.mean(axis=0)) / np.sqrt(count)
    _, lengths, directions = svd(between, full_matrices=False)
    lengths, directions = lengths[: count - 1], directions[: count - 1]
    if lengths[-1] <= 1e-9 * max(lengths[0], 1e-300):
        return float("nan")
    within = (full - means[groups]) @ directions.T / lengths
    return float(np.sum(np.square(within)) / len(full) / count)


def spectrum(x: ArrayLike) -> NDArray[np.float64]:
    """Singular values of the centred features, largest first, `(min(n_rows, n_dims),)`; by the smaller product."""
    c = centred(table(x))
    product = c.T @ c if c.shape[1] <= c.shape[0] else c @ c.T
    values = np.linalg.eigvalsh(product)[::-1]
    floor = max(values[0], 0) * len(values) * np.finfo(np.float64).eps
    return np.sqrt(np.where(values > floor, values, 0.0))


def effective_rank(singular: NDArray[np.float64]) -> float:
    """exp(entropy of the singular values' shares): directions used (Roy and Vetterli 2007). Ceiling `ceiling`."""
    total = singular.sum()
    if total <= 0:
        return float("nan")
    share = singular[singular > 0] / total
    return float(np.exp(-np.sum(share * np.log(share))))


def participation_ratio(singular: NDArray[np.float64]) -> float:
    """(Σλ)² / Σλ² of the variances λ = s²: directions used, counting large ones only."""
    values = np.square(singular)
    return float(values.sum() ** 2 / np.sum(values**2)) if values.any() else float("nan")


def ceiling(n_rows: int, n_dims: int) -> int:
    """The most that effective rank and participation ratio can read: min(n − 1, d)."""
    return min(n_rows - 1, n_dims)


def silhouette(x: ArrayLike, labels: ArrayLike) -> float:
    """Mean cosine silhouette, −1 to 1, 0 = no separation; equal to scikit-learn's, in O(n · C · d).

    Cosine distances to a class add up to (size − x̂ · sum of its unit rows), so no pair is ever formed.
    A row alone in its class counts 0. NaN with fewer than 2 classes, or one class a row.
    """
    rows, groups = unit(table(x)), _groups(labels)
    sizes = np.bincount(groups)
    if len(sizes) < 2 or len(sizes) >= len(rows):
        return float("nan")
    totals = sizes - rows @ class_sums(rows, groups).T
    lines, norms = np.arange(len(rows)), squares(rows)
    own = totals[lines, groups] - (1 - norms)
    inside = np.divide(own, sizes[groups] - 1, out=np.zeros(len(rows)), where=sizes[groups] > 1)
    others = totals / sizes
    others[lines, groups] = np.inf
    outside = others.min(axis=1)
    largest = np.maximum(inside, outside)
    values = np.divide(outside - inside, largest, out=np.zeros(len(rows)), where=(largest > 0) & (sizes[groups] > 1))
    return float(values.mean())


def class_sums(x: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum of the rows of each class, `(n_classes, n_dims)`."""
    from scipy import sparse

    marks = sparse.csr_array((np.ones(len(groups)), (groups, np.arange(len(groups)))),
                             shape=(int(groups.max()) + 1, len(groups)))
    return np.asarray(marks @ x, np.float64)


def _groups(labels: ArrayLike) -> NDArray[np.int64]:
    """Labels renumbered 0 … C−1 over the classes that occur."""
    return np.asarray(np.unique(np.asarray(labels), return_inverse=True)[1], np.int64)
