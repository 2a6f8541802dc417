"""How far each row moved, in units of the typical distance between base rows.

Legal only where tuning starts from the base model. A pure rotation looks large here: read it beside Procrustes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.shift.arrays import Table, pair, squares, subset, table, unit


@dataclass(frozen=True, kw_only=True)
class Displacement:
    """Movement a row, and what is typical."""

    distance: NDArray[np.float64]
    """‖y − x‖ a row, in feature units, `(n_rows,)`."""
    cosine: NDArray[np.float64]
    """Cosine of x and y a row; 1 where equal."""
    scale: float
    """Median distance between two base rows."""

    def typical(self, rows: NDArray[np.bool_] | None = None) -> float:
        """Median move ÷ typical base distance, over all or the marked rows; 0 when nothing moved, NaN without rows."""
        chosen = self.distance if rows is None else self.distance[rows]
        if not chosen.size:
            return float("nan")
        middle = float(np.median(chosen))
        return 0.0 if middle == 0 else middle / self.scale if self.scale > 0 else float("nan")


def measure(x: ArrayLike, y: ArrayLike, *, seed: int = 0) -> Displacement:
    """Movement of the same rows from base `x` to tuned `y`; DataError when rows or widths differ."""
    a, b = pair(x, y, same_width=True)
    moved = b - a
    distance = np.sqrt(squares(moved))
    cosine = np.einsum("ij,ij->i", unit(a), unit(b))
    return Displacement(distance=distance, cosine=np.where(distance == 0, 1.0, np.clip(cosine, -1, 1)),
                        scale=typical_distance(a, seed=seed))


def typical_distance(x: ArrayLike, *, limit: int = 1000, seed: int = 0) -> float:
    """Median distance between two different rows (of a seeded sample of `limit` rows above that many)."""
    full = table(x)
    rows = full[subset(len(full), limit, seed)]
    return float(np.median(np.sqrt(pair_squares(rows)))) if len(rows) > 1 else float("nan")


def pair_squares(rows: Table) -> NDArray[np.float64]:
    """Squared distances of all unordered pairs, `(n (n − 1) / 2,)`; in float32, since only typical sizes matter."""
    small = (rows - rows.mean(axis=0)).astype(np.float32)
    norms = np.einsum("ij,ij->i", small, small)
    distances = norms[:, None] - 2 * (small @ small.T) + norms[None, :]
    return np.maximum(distances[np.tril_indices(len(rows), -1)], 0).astype(np.float64)
