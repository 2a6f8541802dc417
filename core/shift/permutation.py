"""What similarity unrelated features reach: a permutation null per block, and of the largest over all blocks.

Shuffling the rows of one side leaves both tables as they are and breaks only which row belongs to which. Looking at
many blocks and remembering the highest value makes high values likelier, so the null of the largest over the blocks,
under the same shuffles, gives each block a p-value that holds for all of them together (arXiv 2602.14486; the largest
as in Westfall and Young 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.shift.arrays import centred, squares, subset, table

PERMUTATIONS = 199
"""The smallest p-value is 1 / 200."""
MAX_ROWS = 400
"""Of CKA, whose null takes rows × rows products; fewer rows make it wider, which errs on the safe side."""
MAX_ASKED = 2000
"""Rows whose neighbours are looked at, of all there are."""
LEVEL = 95


@dataclass(frozen=True, kw_only=True)
class Null:
    """A similarity of one block against shuffled rows."""

    limit: float
    """Unrelated features of this block stay below it in 95 of 100 shuffles."""
    limit_any: float
    """The largest over all blocks does."""
    p_value: float
    """Share of shuffles, this order included, in which some block is as similar: (1 + count) / (1 + shuffles)."""
    rows: int


def of_cka(base: Sequence[ArrayLike], tuned: Sequence[ArrayLike], *, permutations: int = PERMUTATIONS,
           max_rows: int = MAX_ROWS, seed: int = 0) -> list[Null | None]:
    """Of debiased linear CKA between blocks of the same rows, `(n_rows, d)` each; None where a block has no spread or
    there are fewer than 4 rows."""
    if not base or len(base[0]) < 4:  # type: ignore[arg-type]
        return [None] * len(base)
    rows = subset(len(base[0]), max_rows, seed)  # type: ignore[arg-type]
    orders = _orders(len(rows), permutations, seed)
    values = np.array([_cka(np.asarray(a)[rows], np.asarray(b)[rows], orders)
                       for a, b in zip(base, tuned, strict=True)])
    return _nulls(values, len(rows))


def of_neighbours(base: Sequence[NDArray[np.int64]], tuned: Sequence[NDArray[np.int64]], *,
                  permutations: int = PERMUTATIONS, seed: int = 0) -> list[Null | None]:
    """Of neighbours kept: row numbers of each row's nearest rows on either side, `(n_rows, k)`, the same k for all."""
    if not base or len(base[0]) < 2:
        return [None] * len(base)
    n_rows = len(base[0])
    orders, asked = _orders(n_rows, permutations, seed), subset(n_rows, MAX_ASKED, seed)
    values = np.array([[_kept(a[asked], b[order[asked]], order) for order in orders]
                       for a, b in zip(base, tuned, strict=True)])
    return _nulls(values, len(asked))


def _orders(n_rows: int, permutations: int, seed: int) -> list[NDArray[np.int64]]:
    """Rows as they are, then shuffled; the same for every block, so that the largest over blocks is one draw."""
    rng = np.random.default_rng(seed)
    return [np.arange(n_rows), *(rng.permutation(n_rows) for _ in range(permutations))]


def _cka(x: NDArray[np.float64], y: NDArray[np.float64], orders: Sequence[NDArray[np.int64]]) -> list[float]:
    """Debiased linear CKA with the rows of y in each order: only ‖Aᵀ B‖² and its correction change."""
    a, b = centred(table(x)), centred(table(y))
    n, norms_a, norms_b = len(a), squares(a), squares(b)
    gram_a, gram_b = a @ a.T, b @ b.T
    scale = np.sqrt(_debiased(float(np.vdot(gram_a, gram_a)), norms_a, norms_a, n)
                    * _debiased(float(np.vdot(gram_b, gram_b)), norms_b, norms_b, n))
    if not np.isfinite(scale) or scale <= 0:
        return [float("nan")] * len(orders)
    left, right = (gram.astype(np.float32) for gram in (gram_a, gram_b))
    return [_debiased(float(np.vdot(left, right[order][:, order])), norms_a, norms_b[order], n) / float(scale)
            for order in orders]


def _debiased(value: float, norms_a: NDArray[np.float64], norms_b: NDArray[np.float64], n: int) -> float:
    return float(value - n / (n - 2) * (norms_a @ norms_b) + norms_a.sum() * norms_b.sum() / ((n - 1) * (n - 2)))


def _kept(a: NDArray[np.int64], b: NDArray[np.int64], order: NDArray[np.int64]) -> float:
    """Mean share of neighbours kept where row i of A is taken for row order[i] of B. a, b: neighbours of the same rows
    on either side, `(n_asked, k)`."""
    return float((order[a][:, :, None] == b[:, None, :]).any(axis=2).mean())


def _nulls(values: NDArray[np.float64], rows: int) -> list[Null | None]:
    """values: `(n_blocks, 1 + permutations)`, the first column as the rows are."""
    known = np.isfinite(values[:, 0])
    if not known.any():
        return [None] * len(values)
    largest = np.nanmax(values[known, 1:], axis=0)
    return [Null(limit=float(np.percentile(line[1:], LEVEL)), limit_any=float(np.percentile(largest, LEVEL)),
                 p_value=float((1 + np.sum(largest >= line[0])) / (1 + len(largest))), rows=rows) if there else None
            for line, there in zip(values, known, strict=True)]
