"""Columns of yes and no that say a row's split: `is_valid` (fastai), `is_test`, `is_train`."""

from __future__ import annotations

import dataclasses

import numpy as np

from core.data.readers.one_hot import marks
from core.data.readers.table import Table, text_array
from core.data.report import INFO, Finding, several
from core.data.roles import plain_name
from core.data.splits import ALIASES, NAMES

_NO = {NAMES[0]: NAMES[2], NAMES[1]: NAMES[0], NAMES[2]: NAMES[0]}
"""What a no means, by what a yes does, where there is one such column."""


def read(table: Table) -> Table:
    """The table with the splits that such columns say in words, in the first of them. Unchanged where there is none,
    where they say the same of all rows, or a row is of two splits."""
    names = {name: split for name in table.columns if name not in table.unusable and (split := _meaning(name))}
    hits = [marks(table.data.column(name)) for name in names]
    yes = np.stack([hit for hit in hits if hit is not None]) if hits and all(hit is not None for hit in hits) else None
    if yes is None or (yes.sum(axis=0) > 1).any() or len(set(names.values())) < len(names):
        return table
    splits = list(names.values())
    rest = _NO[splits[0]] if len(splits) == 1 else next((name for name in NAMES if name not in splits), "")
    said = np.where(yes.any(axis=0), np.asarray(splits)[yes.argmax(axis=0)], rest)
    if len(set(said.tolist())) < 2 or "" in said:
        return table
    return _with_split(table, list(names), said.tolist())


def _with_split(table: Table, names: list[str], said: list[str]) -> Table:
    import pyarrow as pa

    first, cells = names[0], pa.chunked_array([text_array([*said])])
    counts = ", ".join(f"{said.count(name):,} {name}" for name in NAMES if name in said)
    note = Finding(code="split-flag", severity=INFO, count=len(names), example=counts,
                   message=f"{several(len(names), 'column', 'columns')} of yes and no "
                           f"({', '.join(names)[:80]}) {'was' if len(names) == 1 else 'were'} read as the split.",
                   remedy="Nothing to do if that is right; otherwise give the column another name.")
    return dataclasses.replace(table, data=table.data.set_column(table.data.column_names.index(first), first, cells),
                               unusable={**table.unusable, **dict.fromkeys(names[1:], f"it is part of {first!r}")},
                               findings=(*table.findings, note))


def _meaning(name: str) -> str:
    """The split that rows with a yes in a column of this name belong to; "" for columns of another name."""
    first, _, rest = plain_name(name).partition(" ")
    words = rest.removesuffix(" set").removesuffix(" data").removesuffix(" image").removesuffix(" split")
    found = ALIASES.get(words, "") if first in ("is", "in") else ""
    return found if found in NAMES else ""
