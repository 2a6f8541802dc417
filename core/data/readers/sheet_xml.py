"""What a sheet of an XLSX file says about itself, from its XML: openpyxl believes anything written there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from core.errors import DataError

MAX_ROWS = 1_048_576
"""What Excel allows."""
_PIECE = 1 << 20
_MAX_MERGED = 200_000
_ROW = re.compile(rb"<(?:\w+:)?row(?=[\s>/])([^>]*)>")
_NUMBER = re.compile(rb"""\br=["'](\d+)["']""")
_VALUE = re.compile(rb"<(?:\w+:)?(?:v|is)[\s>]")
_FAR = re.compile(rb"""<(?:\w+:)?c\s[^>]*?\br=["'][A-Za-z]{4,}""")
_NO_VALUE = re.compile(rb"<(?:\w+:)?f(?:[\s][^>]*)?>[^<]*</(?:\w+:)?f>\s*(?:<(?:\w+:)?v\s*/>\s*)?</(?:\w+:)?c>")
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?ref=["']([A-Z]{1,3})(\d+):([A-Z]{1,3})(\d+)["']""")


@dataclass(kw_only=True)
class SheetFacts:
    """Where the filled part of a sheet ends, and what of it needs care."""

    last_row: int = 0
    """Number of the last row with a value: a million formatted empty rows may follow it."""
    formulas_without_value: int = 0
    merged: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """First row, from 1 -> (column, from 0, last row) of cells that are merged over several rows."""


def look(stream: IO[bytes], *, name: str) -> SheetFacts:
    """Facts of a sheet's XML, read in one pass, never held whole. Raises DataError for impossible rows or columns."""
    facts = SheetFacts()
    number, piece = 0, b""
    for piece in _pieces(stream):
        if _FAR.search(piece):
            raise _impossible(name, "a cell far to the right of the last column that a sheet may have")
        last_value = max((match.start() for match in _VALUE.finditer(piece)), default=-1)
        before = number
        for row in _ROW.finditer(piece):
            given = _NUMBER.search(row[1])
            number = int(given[1]) if given and len(given[1]) < 12 else MAX_ROWS + 1 if given else number + 1
            if row.start() < last_value:
                before = number
        if last_value >= 0:
            facts.last_row = before
        if facts.last_row > MAX_ROWS:
            raise _impossible(name, f"a value in row {facts.last_row:,}")
        facts.formulas_without_value += len(_NO_VALUE.findall(piece))
        for first, top, _, bottom in _MERGED.findall(piece):
            if int(bottom) > int(top) and len(facts.merged) < _MAX_MERGED:
                facts.merged.setdefault(int(top), []).append((_column(first), int(bottom)))
    if not piece.rstrip().endswith(b"worksheet>"):
        raise DataError(f"{name} cannot be read as an Excel file.",
                        why="A sheet of it is cut off, so rows are missing.",
                        remedy="Save or copy it again, and import that file.")
    return facts


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """Pieces that end with a row or, where there is none, with a tag."""
    held = b""
    while data := stream.read(_PIECE):
        held += data
        cut = held.rfind(b"row>") + 4 if b"row>" in held else 0
        cut = cut or (held.rfind(b">") + 1 if len(held) > 4 * _PIECE else 0)
        if cut and len(held) > cut:
            yield held[:cut]
            held = held[cut:]
    yield held


def _column(letters: bytes) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + letter - 64
    return index - 1


def _impossible(name: str, what: str) -> DataError:
    return DataError(f"{name} cannot be read as an Excel file.",
                     why=f"It says that it has {what}, which no sheet can have.",
                     remedy="Open it in a spreadsheet, save it as CSV (UTF-8), and import that file.")
