"""Classes written as columns of zeros and ones: where each row has one 1, they become one label."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from core.data.readers.table import Table
from core.data.report import INFO, Finding
from core.data.roles import is_named
from core.domain.dataset import Role

_YES, _NO = ("1", "1.0", "true", "True", "TRUE"), ("0", "0.0", "false", "False", "FALSE")
_LEAST_ROWS = 6
_ENOUGH = 0.95
"""Share of rows with one class each from which the columns are one label."""
_MOST = 200


def joined(table: Table) -> Table:
    """The table with a column `label` where no column is named like one and two or more of zeros and ones say it
    together; a row with several has them as `toxic|threat`, one with none has an empty cell.

    Where rows often have several or none, nothing is joined, and a finding says so.
    """
    if (len(table) < _LEAST_ROWS or table.by_folder
            or any(is_named(name, Role.LABEL) for name in (*table.columns, *table.unusable))):
        return table
    found = {name: hits for name in table.columns
             if name not in table.unusable and (hits := marks(table.data.column(name))) is not None}
    if not 2 <= len(found) <= _MOST:
        return table
    hits = np.stack(list(found.values()))
    single = float((hits.sum(axis=0) == 1).mean())
    if single >= _ENOUGH and hits.any(axis=1).all():
        return _with_label(table, list(found), hits)
    if len(found) == 2 or not (hits.sum(axis=0) > 1).any():
        return table
    return _noted(table, list(found), several=int((hits.sum(axis=0) > 1).sum()))


def marks(column: Any) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Which cells say yes; None for a column that says anything but yes and no."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.array([*_YES, *_NO], type=pa.large_string())
    if not pc.all(pc.is_in(column.slice(0, 200), value_set=kind)).as_py():             # most columns end here
        return None
    if not pc.all(pc.is_in(column, value_set=kind)).as_py():
        return None
    return np.asarray(pc.is_in(column, value_set=pa.array(_YES, type=pa.large_string())).to_numpy(), dtype=bool)


def _with_label(table: Table, names: list[str], hits: np.ndarray[Any, np.dtype[np.bool_]]) -> Table:
    import pyarrow as pa

    short = _short(names)
    chosen = ["|".join(name for name, hit in zip(short, row, strict=True) if hit) or None for row in hits.T.tolist()]
    shown = ", ".join(short[:5]) + (" …" if len(short) > 5 else "")
    note = Finding(code="one-hot-label", severity=INFO, count=len(names), example=shown[:120],
                   message=f"{len(names)} columns of zeros and ones, one 1 a row, were read as one label.",
                   remedy="Nothing to do if they are the classes; otherwise give the column of the classes the name "
                          "label.")
    return dataclasses.replace(
        table, data=table.data.append_column("label", pa.chunked_array([pa.array(chosen, type=pa.large_string())])),
        unusable={**table.unusable, **dict.fromkeys(names, "it is part of 'label'")},
        findings=(*table.findings, note))


def _short(names: list[str]) -> list[str]:
    """Names without the part that all begin with, up to a dot or underscore: `cats.sport` and `cats.money` are `sport`
    and `money`."""
    for mark in (".", "_"):
        heads = {name.rpartition(mark)[0] for name in names}
        if len(heads) == 1 and heads != {""} and all(name.rpartition(mark)[2] for name in names):
            return [name.rpartition(mark)[2] for name in names]
    return names


def _noted(table: Table, names: list[str], *, several: int) -> Table:
    shown = ", ".join(_short(names)[:5]) + (" …" if len(names) > 5 else "")
    note = Finding(code="several-hot", severity=INFO, count=several, example=shown[:120],
                   message=f"{len(names)} columns hold zeros and ones, and {several:,} rows have several ones: if "
                           "these are classes, a row may be of several, and Thaw learns one class a row.",
                   remedy="Choose the one column to learn as the label, or make a column label with one class a row.")
    return dataclasses.replace(table, findings=(*table.findings, note))
