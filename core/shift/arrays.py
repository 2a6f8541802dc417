"""What every number starts from: float64 tables `(n_rows, n_dims)`, their state, chunks that bound memory."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError

Table = NDArray[np.float64]
"""Features of one block, `(n_rows, n_dims)`."""
CHUNK_BYTES = 64 * 2**20
"""Largest temporary table of a blockwise computation."""


class State(StrEnum):
    """What a block's features allow to be computed."""

    OK = "ok"
    IDENTICAL = "identical"
    """Base and tuned are equal bit for bit."""
    NOT_FINITE = "not finite"
    """Some feature is NaN or infinite."""
    COLLAPSED = "collapsed"
    """Every row has the same feature."""


def table(x: ArrayLike) -> Table:
    """As float64 `(n_rows, n_dims)`; DataError for anything that is not such a table with a row and a column."""
    out = np.asarray(x, np.float64)
    if out.ndim != 2 or 0 in out.shape:
        raise DataError("These features cannot be compared.",
                        why=f"They must be a table (rows, dimensions); this has shape {out.shape}.",
                        remedy="Extract the features again.")
    return out


def pair(x: ArrayLike, y: ArrayLike, *, same_width: bool = False) -> tuple[Table, Table]:
    """Both as float64 tables of the same rows; DataError when rows (or, if asked, widths) differ."""
    a, b = table(x), table(y)
    if len(a) != len(b):
        raise DataError("These features are not of the same rows.",
                        why=f"One side has {len(a)} rows, the other {len(b)}.",
                        remedy="Extract both sides for the same probe sample.")
    if same_width and a.shape[1] != b.shape[1]:
        raise DataError("Rows of models of different widths cannot be subtracted.",
                        why=f"One side has {a.shape[1]} dimensions, the other {b.shape[1]}.",
                        remedy="Use CKA and the neighbours kept, which do not need equal widths.")
    return a, b


def state(x: ArrayLike) -> State:
    """`ok`, `not finite` or `collapsed` (spread over the rows below float16 resolution)."""
    values = np.asarray(x)
    values = values.astype(np.float32) if values.dtype == np.float16 else values  # float16 arithmetic is slow
    low, high = values.min(axis=0), values.max(axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return State.NOT_FINITE
    spread = np.max(high.astype(np.float64) - low)
    return State.COLLAPSED if spread <= 1e-6 * np.max(np.abs(high, dtype=np.float64)) else State.OK


def identical(x: ArrayLike, y: ArrayLike) -> bool:
    """Equal bit for bit (the same shape and the same numbers)."""
    return np.array_equal(np.asarray(x), np.asarray(y))


def centred(x: Table) -> Table:
    """Column means removed; a new table."""
    return x - x.mean(axis=0)


def unit(x: Table) -> Table:
    """Rows scaled to length 1; rows of length 0 stay 0."""
    norms = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    return np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)


def squares(x: Table) -> NDArray[np.float64]:
    """Squared length of each row, `(n_rows,)`."""
    return np.asarray(np.einsum("ij,ij->i", x, x), np.float64)


def chunks(n_rows: int, row_bytes: int) -> Iterator[slice]:
    """Slices that cover all rows, each of at most `CHUNK_BYTES`."""
    step = max(1, CHUNK_BYTES // max(1, row_bytes))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def subset(n_rows: int, limit: int, seed: int) -> NDArray[np.int64]:
    """At most `limit` row numbers, drawn without replacement and sorted; all rows when they are fewer."""
    if n_rows <= limit:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, limit, replace=False))


def finite(value: Any) -> float | None:
    """As a float, or None when it is NaN or infinite (JSON has neither)."""
    return float(value) if np.isfinite(value) else None
