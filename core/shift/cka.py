"""Linear CKA, debiased, with its band and the block × block map; RBF CKA and CCA as references.

Kornblith et al. 2019 (arXiv 1905.00414) and its reference notebook (google-research, representation_similarity).
CKA is blind to rotation, scale and shift, and one far-away row or one huge shared dimension can fool it: read it
beside the neighbours kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.domain.run import Interval
from core.shift.arrays import Table, centred, chunks, identical, pair, squares, table


def linear(x: ArrayLike, y: ArrayLike, *, debiased: bool = True) -> float:
    """Linear CKA of the same rows, `(n_rows, d_x)` and `(n_rows, d_y)`: 1 = same up to rotation and scale, 0 =
    unrelated.

    Exactly 1 for bit-identical input. The debiased form may fall slightly below 0 (not clamped); it needs 4 rows. The
    biased one reads about d / (d + n) on independent data. NaN when a side has no spread.
    """
    if identical(x, y):
        return 1.0
    a, b = (centred(t) for t in pair(x, y))
    norms_a, norms_b = squares(a), squares(b)
    return _ratio(_inner(a, b), _inner(a, a), _inner(b, b), norms_a, norms_b, debiased=debiased)


def _inner(a: Table, b: Table) -> float:
    """‖Aᵀ B‖² of centred tables, in the cheaper of feature form O(n d²) and Gram form O(n² d)."""
    n, da, db = len(a), a.shape[1], b.shape[1]
    if da * db <= n * (da + db):
        return float(np.sum(np.square(a.T @ b)))
    return float(sum(np.sum((a[rows] @ a.T) * (b[rows] @ b.T)) for rows in chunks(n, 16 * n)))


def _ratio(ab: float, aa: float, bb: float, norms_a: NDArray[np.float64], norms_b: NDArray[np.float64],
           *, debiased: bool = True) -> float:
    if debiased:
        ab, aa, bb = _debias(ab, norms_a, norms_b), _debias(aa, norms_a, norms_a), _debias(bb, norms_b, norms_b)
    return float(ab / np.sqrt(aa * bb)) if aa > 0 and bb > 0 else float("nan")


def _debias(value: float, norms_a: NDArray[np.float64], norms_b: NDArray[np.float64]) -> float:
    n = len(norms_a)
    if n < 4:
        return float("nan")
    return float(value - n / (n - 2) * (norms_a @ norms_b) + norms_a.sum() * norms_b.sum() / ((n - 1) * (n - 2)))


def band(x: ArrayLike, y: ArrayLike, *, subsets: int = 20, share: float = 0.8, seed: int = 0) -> Interval:
    """Debiased linear CKA with a 95 % interval from random subsets of the rows **without** replacement.

    The spread over subsets is scaled by √(share / (1 − share)) (delete-d jackknife, Shao and Wu 1989), since subsets
    share most of their rows. A bootstrap with replacement would lift independent data from 0 to 0.72. Bit-identical
    input gives 1 to 1.
    """
    if identical(x, y):
        return Interval(value=1.0, low=1.0, high=1.0)
    a, b = (centred(t) for t in pair(x, y))
    rng, n = np.random.default_rng(seed), len(a)
    out = [np.sort(rng.permutation(n)[: n - round(share * n)]) for _ in range(subsets)]
    value, values = _downdated(a, b, out) if n > max(a.shape[1], b.shape[1]) else _direct(a, b, out)
    error = float(np.std(values, ddof=1) * np.sqrt(share / (1 - share))) if subsets > 1 else float("nan")
    return Interval(value=value, low=value - 1.96 * error, high=min(1.0, value + 1.96 * error) if value <= 1 else value)


def _direct(a: Table, b: Table, out: list[NDArray[np.int64]]) -> tuple[float, list[float]]:
    keep = [np.delete(np.arange(len(a)), rows) for rows in out]
    return linear(a, b), [linear(a[rows], b[rows]) for rows in keep]


def _downdated(a: Table, b: Table, out: list[NDArray[np.int64]]) -> tuple[float, list[float]]:
    """Each subset from the whole minus the rows left out: a fifth of the work."""
    sides = (a, b)
    norms = [squares(t) for t in sides]
    whole = {(i, j): sides[i].T @ sides[j] for i, j in ((0, 1), (0, 0), (1, 1))}
    value = _ratio(*_three([float(np.sum(np.square(m))) for m in whole.values()]), norms[0], norms[1])
    values = []
    for rows in out:
        gone = [t[rows] for t in sides]
        kept = len(a) - len(rows)
        means = [-t.sum(axis=0) / kept for t in gone]
        inner = [float(np.sum(np.square(whole[i, j] - gone[i].T @ gone[j] - kept * np.outer(means[i], means[j]))))
                 for i, j in whole]
        left = [np.delete(norms[i] - 2 * (sides[i] @ means[i]) + means[i] @ means[i], rows) for i in (0, 1)]
        values.append(_ratio(*_three(inner), left[0], left[1]))
    return value, values


def _three(values: list[float]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]


def block_map(xs: Sequence[ArrayLike], ys: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Debiased linear CKA of every block of one model with every block of the other, `(len(xs), len(ys))`.

    All tables hold the same rows. Cells of bit-identical blocks are exactly 1; NaN where a block has no spread.
    Products are float32 a chunk, added up in float64: within 1e-4 of `linear`, for a picture.
    """
    same_list = len(xs) == len(ys) and all(identical(x, y) for x, y in zip(xs, ys, strict=True))
    left = [centred(table(x)) for x in xs]
    right = left if same_list else [centred(table(y)) for y in ys]
    tables = left if same_list else left + right
    inner = _all_inner(tables)
    norms = [squares(t) for t in tables]
    shift = 0 if same_list else len(left)
    out = np.array([[_ratio(inner[i, shift + j], inner[i, i], inner[shift + j, shift + j], norms[i], norms[shift + j])
                     for j in range(len(right))] for i in range(len(left))])
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            if np.shape(x) == np.shape(y) and np.isfinite(out[i, j]) and identical(x, y):
                out[i, j] = 1.0
    return out


def _all_inner(tables: Sequence[Table]) -> NDArray[np.float64]:
    """‖Aᵀ B‖² for all pairs, by Gram matrices a chunk of rows at a time, or pair by pair where that is cheaper."""
    n, widths, count = len(tables[0]), [t.shape[1] for t in tables], len(tables)
    by_gram = n * n / 2 * (sum(widths) + count * count)
    by_features = n * sum(widths) ** 2 / 2
    if by_features < by_gram:
        out = np.zeros((count, count))
        for i in range(count):
            for j in range(i, count):
                out[i, j] = out[j, i] = _inner(tables[i], tables[j])
        return out
    total = np.zeros((count, count))
    # near 1, far from float32's limits
    small = [(t / (np.linalg.norm(t) or 1.0) ** 0.5).astype(np.float32) for t in tables]
    sizes = np.array([np.linalg.norm(t) or 1.0 for t in tables])
    for rows in chunks(n, 4 * n * count):
        # only columns from this chunk on: the part beyond it stands for its mirror image too
        grams = np.stack([t[rows] @ t[rows.start:].T for t in small])  # (count, rows, columns)
        grams[:, :, rows.stop - rows.start:] *= np.float32(np.sqrt(2))
        flat = grams.reshape(count, -1)
        total += flat @ flat.T
    return np.asarray(total * np.outer(sizes, sizes), np.float64)
