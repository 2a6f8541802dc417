"""Large, well-formed CSV files through Arrow's parallel reader; anything unusual is left to `delimited`."""

from __future__ import annotations

import codecs
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.data.readers.dialect import Shape

MIN_BYTES = 4_000_000
"""Smaller files gain nothing."""

_PIECE = 1 << 24


def read_clean(path: Path, *, separator: str, columns: Sequence[str], first_rows: Sequence[Sequence[str] | None],
               shape: Shape, names: Sequence[str]) -> Any | None:
    """A `pyarrow.Table` of large_string columns below the header row, or None when the file needs the careful reader.

    It does when a row has another number of cells, a quotation mark is left open or a cell holds what look like rows
    (`shape`), a row repeats the column names (`names`, in lower case) or begins with `#`, the bytes are not UTF-8, or
    Arrow reads the first rows otherwise than `first_rows`.
    """
    import pyarrow as pa
    from pyarrow import csv

    if not _quotes_pair_up(path, separator):
        return None
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(block_size=4_000_000, column_names=list(columns), skip_rows_after_names=1),
            parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.large_string()),
                                               strings_can_be_null=False))
    except pa.ArrowException:
        return None
    ahead = table.slice(0, len(first_rows)).to_pylist()
    if [list(row.values()) for row in ahead] != [None if row is None else list(row) for row in first_rows]:
        return None
    return None if _needs_care(table, shape, names) else table


def _needs_care(table: Any, shape: Shape, names: Sequence[str]) -> bool:
    """Whether some row may be none: a repeated header, a remark, or one of which a cell has swallowed others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for column in table.columns:
        for cell in column.filter(pc.match_substring(column, "\n")).to_pylist():
            lines = cell.splitlines()
            if sum(map(shape.is_row, lines[1:])) + shape.opens_alone('"' + lines[0]) > 0:
                return True
    again = None
    for position in sorted(range(table.num_columns), key=lambda i: int(table.column(i).nbytes)):
        name = pa.scalar(names[position], type=pa.large_string())
        same = pc.equal(pc.utf8_lower(pc.utf8_trim_whitespace(table.column(position))), name)
        again = same if again is None else pc.and_(again, same)
        if not pc.any(again).as_py():                                # the shortest column mostly tells it
            break
    return bool(pc.any(again).as_py() or pc.any(pc.starts_with(table.column(0), "#")).as_py())


def _quotes_pair_up(path: Path, separator: str) -> bool:
    """Whether every quotation mark opens or closes a cell, or is one of two inside a cell, and none is left open.

    Counted through the file, marks number 0, 2, 4 … must stand at the start of a cell or right behind another mark, and
    marks 1, 3, 5 … at the end of a cell or right before another mark.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        data = np.frombuffer(mapped, dtype=np.uint8)
        pieces = [np.flatnonzero(data[at : at + _PIECE] == ord('"')) + at for at in range(0, len(data), _PIECE)]
        marks = np.concatenate(pieces)
        around = np.zeros(256, dtype=bool)
        around[[ord('"'), ord(separator), ord("\n"), ord("\r")]] = True
        opening, closing = marks[0::2], marks[1::2]
        start = 3 if mapped[:3] == codecs.BOM_UTF8 else 0
        good = len(marks) % 2 == 0 and bool(np.all(around[data[opening[opening > start] - 1]]))
        good = good and bool(np.all(around[data[closing[closing < len(data) - 1] + 1]]))
        del data                                                     # the map cannot close while an array looks at it
    return good
