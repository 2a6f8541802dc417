"""Pictures written as numbers: a column a pixel (MNIST as CSV), or all pixels of a picture in one cell (FER2013)."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

import numpy as np

from core.data.pictures.source import PictureSource
from core.data.readers.table import Table
from core.data.report import INFO, Finding
from core.data.roles import is_named
from core.domain.dataset import Role
from core.errors import DataError

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
    return replace(table, data=data, pictures=PictureSource(called, lambda name: png(pixels[places[name]])),
                   image_column=column, format=f"{table.format}, pictures as numbers",
                   findings=(*table.findings, note))


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Which numbers are black and white."""

    black: float
    white: float


def scale_of(arrays: Sequence[Any], *, name: str) -> Scale:
    """What is black and white in arrays of pictures: 0 and the smallest of 1, 16 and 255 that fits, or −1 and 1. Raises
    DataError for numbers beyond these."""
    if all(array.dtype == np.uint8 for array in arrays) and any(len(array) and array.max() > 1 for array in arrays):
        return Scale(black=0.0, white=255.0)
    if any(array.dtype.kind not in "biuf" for array in arrays):
        raise DataError(f"{name} has pictures that are no numbers.", remedy="Save them as arrays of 0 to 255.")
    least = min((float(array.min()) for array in arrays if array.size), default=0.0)
    most = max((float(array.max()) for array in arrays if array.size), default=0.0)
    white = next((white for white in _SCALES if most <= white), None)
    if least >= 0 and white is not None:
        return Scale(black=0.0, white=white)
    if least >= -1 and most <= 1:
        return Scale(black=-1.0, white=1.0)
    raise DataError(f"{name} has pictures whose black and white cannot be told.",
                    why=f"Their numbers go from {least:g} to {most:g}; 0 to 255, 0 to 1 and −1 to 1 are read.",
                    remedy="Save them before they are normalised, as whole numbers of 0 to 255.")


def shown(array: Any, scale: Scale, *, turned: bool, name: str) -> Callable[[int], Any]:
    """Position -> picture (height, width) or (height, width, 3), uint8, of an array (n, height, width), (n, height,
    width, 1 or 3), (n, 1 or 3, height, width), or (n, pixels) of square ones. turned: height and width stand the other
    way round. Raises DataError for arrays of other shapes."""
    if array.ndim == 2 and (sized := _side(array.shape[1])) is not None:
        planes = sized[1] > 1 and _in_planes(array, *sized)
        array = array.reshape(-1, 3, sized[0], sized[0]) if planes else array.reshape(-1, sized[0], sized[0], sized[1])
    channels = next((axis for axis in (3, 1) if array.ndim == 4 and array.shape[axis] in (1, 3)), None)
    if array.ndim != 3 and channels is None:
        raise DataError(f"{name} has arrays that are no pictures.",
                        why=f"Theirs is the shape {' x '.join(map(str, array.shape))}; read are pictures x height x "
                            "width, with 1 or 3 colours behind or before the last two.",
                        remedy="Save them as pictures x height x width x colours.")

    def picture(row: int) -> Any:
        found = np.asarray(array[row])
        found = found if channels != 1 else found.transpose(1, 2, 0)
        found = found[..., 0] if found.ndim == 3 and found.shape[-1] == 1 else found
        found = found.swapaxes(0, 1) if turned else found
        if found.dtype == np.uint8 and scale.white == _SCALES[-1]:
            return np.ascontiguousarray(found)
        share = (found.astype(np.float64) - scale.black) / (scale.white - scale.black)
        return np.rint(255 * share).astype(np.uint8)

    return picture


def _in_planes(array: Any, side: int, channels: int) -> bool:
    """Whether flat colours stand in three planes: where that makes the smoother pictures."""
    sample = np.asarray(array[:_SAMPLE], dtype=np.float32)
    beside, planes = sample.reshape(-1, side, side, channels), sample.reshape(-1, channels, side, side)
    return bool(np.abs(np.diff(planes.transpose(0, 2, 3, 1), axis=1)).mean() < np.abs(np.diff(beside, axis=1)).mean())


def _arranged(pixels: Any, side: int, channels: int) -> Any:
    """Pictures (n, side, side) or (n, side, side, 3), uint8."""
    if channels == 1:
        return pixels.reshape(-1, side, side)
    if _in_planes(pixels, side, channels):
        return pixels.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)
    return pixels.reshape(-1, side, side, 3)


def png(pixels: Any) -> bytes:
    """A picture (height, width) or (height, width, 3), uint8, as a PNG file."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
