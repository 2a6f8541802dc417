"""Tables that leave for a spreadsheet: no cell is ever read as a formula there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell of text begins with that spreadsheets compute, full-width forms too (CWE-1236)."""
_UNSEEN = "\u200b"


def safe(cell: Any) -> Any:
    """A cell for a CSV file: text that would be a formula gets an apostrophe in front; numbers stay numbers.

    Carriage returns, after which some programs begin a new row, become line feeds, which are quoted.
    """
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(FORMULA) else text


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV with safe cells, lines ended by a line feed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([safe(cell) for cell in row] for row in (header, *rows))
    return out.getvalue()


def records_to_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """Records as CSV: a column for every key, in the order in which keys turn up."""
    header = list(dict.fromkeys(key for record in records for key in record))
    return to_csv(header, ([record.get(key, "") for key in header] for record in records))


def inert(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records for a table on screen, which may be saved as CSV: they look the same, but no cell is a formula."""
    return [{_shown(key): _shown(value) for key, value in record.items()} for record in records]


def _shown(value: Any) -> Any:
    return _UNSEEN + value if isinstance(value, str) and value.startswith(FORMULA) else value
