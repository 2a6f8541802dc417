"""Pictures in a column of a Parquet or Arrow file, as the `datasets` library keeps them: `{"bytes": …, "path": …}`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.data import roles
from core.data.pictures.source import PictureSource, ending, is_picture
from core.data.readers.arrow_text import holds_picture
from core.data.readers.columnar import Columns
from core.data.readers.table import Table
from core.data.source import TemporaryFolder
from core.errors import DataError

_MAX_BYTES = 2_000_000_000
"""Bytes of all pictures together, unpacked."""
_BATCH_ROWS = 64
_WORDS = 3
"""Words a cell from which a column beside the pictures holds texts."""


def with_pictures(table: Table, file: Columns, *, first_rows: int | None) -> Table:
    """The table with the pictures of its file, unpacked to a temporary folder that lives as long as they do; as it is
    where the file has none, or texts beside them. Raises DataError where they unpack to too much."""
    import pyarrow as pa

    column = next((field.name for field in file.schema if holds_picture(field.type)), None)
    if column is None or any(roles.column_facts(table, name).mean_words >= _WORDS for name in table.columns):
        return table
    folder = TemporaryFolder()
    places: dict[str, Path] = {}
    cells: list[str | None] = []
    size = 0
    for batch in file.batches([column], _BATCH_ROWS):
        for cell in batch.column(0).to_pylist()[: None if first_rows is None else first_rows - len(cells)]:
            data = (cell or {}).get("bytes")
            if data is None:
                cells.append(None)
                continue
            called = str(cell.get("path") or "")
            name = f"{len(cells) + 1:07}{ending(called).lower() if is_picture(called) else '.png'}"
            size += len(data)
            if size > _MAX_BYTES:
                raise DataError(f"{table.name} unpacks to more than {_MAX_BYTES / 1e9:.0f} GB.",
                                remedy="Import a sample of its rows.")
            places[name] = folder.path / name
            places[name].write_bytes(data)
            cells.append(name)
        if first_rows is not None and len(cells) >= first_rows:
            break
    source = PictureSource(list(places), lambda name: places[name].read_bytes(), keep=folder)
    kept = pa.array([cells[number - 1] for number in np.asarray(table.row_numbers).tolist()], type=pa.large_string())
    return replace(table, data=table.data.append_column(column, pa.chunked_array([kept])), pictures=source,
                   image_column=column, format=f"{table.format} with pictures",
                   unusable={name: why for name, why in table.unusable.items() if name != column})
