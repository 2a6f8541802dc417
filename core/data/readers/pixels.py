"""Pictures written as numbers: a column a pixel (MNIST as CSV), or all pixels of a picture in one cell (FER2013)."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import isqrt
from typing import Any

import numpy as np

from core.data.pictures.source import PictureSource
from core.data.readers.table import Table
from core.data.report import INFO, Finding
from core.data.roles import is_named
from core.domain.dataset import Role

_LEAST = 64
"""Pixels of a picture: 8 x 8, as scikit-learn's digits have."""
_SAMPLE = 20
_ENOUGH = 0.9
"""Share of cells with as many numbers as most."""
_NAMED = re.compile(r"(pixel|px|pix|p|x|v|f|col|column|feature)?[\s_.-]*\d+([\s_.x-]+\d+){0,2}|", re.IGNORECASE)
"""What columns of pixels are called: `pixel0`, `1x1`, `pixel_0_7`, `column 12`, `783`."""
_CELL = re.compile(r"\[?\s*\d{1,3}(?:[\s,;]+\d{1,3})*\s*\]?")
_SCALES = (1.0, 16.0, 255.0)
"""What white is in such files, the smallest that fits."""


def drawn(table: Table) -> Table:
    """The table with pictures where numbers say them; as it is where they say none.

    The numbers are read row by row from the top left; three a pixel lie beside each other or in three planes, whichever
    makes the smoother pictures.
    """
    if table.pictures is not None or table.by_folder or not len(table):
        return table
    for find in (_of_cells, _of_columns):
        if (found := find(table)) is not None:
            return _with_pictures(table, *found)
    return table


Found = tuple[list[str], Any, Any]
"""(columns that are pixels, values (n_rows, n_pixels), whether a row has them all)."""


def _of_cells(table: Table) -> Found | None:
    for name in table.columns:
        column = table.data.column(name)
        sample = [cell for cell in column.slice(0, _SAMPLE).to_pylist() if cell]
        if not sample or not all(_CELL.fullmatch(cell.strip()) for cell in sample):
            continue
        [(width, times)] = Counter(len(_numbers(cell)) for cell in sample).most_common(1)
        if times >= _ENOUGH * len(sample) and _side(width) is not None:
            rows = [_numbers(cell or "") for cell in column.to_pylist()]
            whole = np.asarray([len(row) == width for row in rows])
            values = np.zeros((len(rows), width), dtype=np.float32)
            for place in np.flatnonzero(whole):
                values[place] = rows[place]
            return [name], values, whole
    return None


def _numbers(cell: str) -> Any:
    words = re.split(r"[\s,;]+", cell.strip(" []"))
    return np.asarray(words, dtype=np.float32) if all(word.isdecimal() for word in words) else np.zeros(0, np.float32)


def _of_columns(table: Table) -> Found | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    names = [name for name in table.columns if _NAMED.fullmatch(name.strip()) and not is_named(name, Role.LABEL)]
    if len(names) < _LEAST or not any(_side(len(names) - spare) is not None for spare in (0, 1)):
        return None
    values = np.zeros((len(table), len(names)), dtype=np.float32)
    whole = np.ones(len(table), dtype=bool)
    for place, name in enumerate(names):
        try:
            column = pc.cast(table.data.column(name), pa.float32())
        except pa.ArrowInvalid:
            return None
        whole &= np.asarray(column.is_valid().to_numpy(), dtype=bool)
        values[:, place] = column.fill_null(0).to_numpy()
    if _side(len(names)) is None:                                    # a label without a name stands first or last
        drop = 0 if len(np.unique(values[:, 0])) > 1 else len(names) - 1
        names, values = names[:drop] + names[drop + 1:], np.delete(values, drop, axis=1)
    return names, values, whole


def _side(pixels: int) -> tuple[int, int] | None:
    """(side, channels) of a square picture of so many numbers; None where there is none."""
    for channels in (1, 3):
        side = isqrt(pixels // channels)
        if pixels >= _LEAST and side * side * channels == pixels:
            return side, channels
    return None


def _with_pictures(table: Table, names: Sequence[str], values: Any, whole: Any) -> Table:
    import pyarrow as pa

    sized = _side(values.shape[1])
    least, most = float(values.min()), float(values.max())
    white = next((white for white in _SCALES if most <= white), None)
    if sized is None or white is None or least < 0 or most == 0 or not whole.any():
        return table
    pixels = _arranged(np.rint(values * (255 / white)).astype(np.uint8), *sized)
    called = [f"{number:07}.png" for number in np.asarray(table.row_numbers).tolist()]
    places = {name: place for place, name in enumerate(called)}
    column = next(name for name in ("image", "picture", "image of the row") if name not in table.columns)
    cells = pa.array([name if good else None for name, good in zip(called, whole.tolist(), strict=True)],
                     type=pa.large_string())
    data = table.data.drop_columns(list(names))
    data = data.add_column(0, column, pa.chunked_array([cells]))
    numbers = " x ".join(map(str, pixels.shape[1:]))
    note = Finding(code="pictures-of-numbers", severity=INFO, count=len(table),
                   message=f"The {values.shape[1]:,} numbers of each row became a picture ({numbers}, "
                           f"0 is black and {white:g} white).",
                   remedy="Nothing to do if the pictures look right.")
    return replace(table, data=data, pictures=PictureSource(called, lambda name: _png(pixels[places[name]])),
                   image_column=column, format=f"{table.format}, pictures as numbers",
                   findings=(*table.findings, note))


def _arranged(pixels: Any, side: int, channels: int) -> Any:
    """Pictures (n, side, side) or (n, side, side, 3), uint8."""
    if channels == 1:
        return pixels.reshape(-1, side, side)
    beside, planes = pixels.reshape(-1, side, side, 3), pixels.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)
    rough = [np.abs(np.diff(shown[:_SAMPLE].astype(np.float32), axis=1)).mean() for shown in (beside, planes)]
    return beside if rough[0] <= rough[1] else planes


def _png(pixels: Any) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
