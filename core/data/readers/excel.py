"""XLSX: the first sheet that has rows. Formulas are never computed; the values that the file stores for them are read."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from core.data.archive import check_members
from core.data.readers.json_rows import to_text
from core.data.readers.table import RowBuilder, Table, header_finding, header_is_data, named_columns
from core.data.report import INFO, Finding
from core.errors import DataError

_SAMPLE_ROWS = 200


def read(path: Path, *, max_rows: int, max_files: int) -> Table:
    """Read the first sheet with rows. Raises DataError when the file is damaged, encrypted or has no rows."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(path) as bundle:
            check_members(bundle.infolist(), path, max_files=max_files, max_bytes=2_000_000_000)
        with path.open("rb") as file:                                # opened here: openpyxl judges a path by its suffix
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            for sheet in book.worksheets:
                rows = (list(map(_cell, row)) for row in sheet.iter_rows(values_only=True))
                filled = (row for row in rows if any(cell is not None and cell.strip() for cell in row))
                first = list(islice(filled, _SAMPLE_ROWS))
                if first:
                    others = [s.title for s in book.worksheets if s is not sheet]
                    return _build(first, filled, name=path.name, sheet=sheet.title, others=others, max_rows=max_rows)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, SyntaxError, OSError, TypeError, AttributeError) as error:
        raise DataError(f"{path.name} cannot be read as an Excel file.", why=f"It is damaged or of an unknown kind ({str(error)[:150]}).",
                        remedy="Open it in a spreadsheet, save it as CSV (UTF-8), and import that file.") from error
    raise DataError(f"{path.name} is empty.", why="None of its sheets has a filled cell.", remedy="Choose a file with rows.")


def _build(first: list[list[str | None]], rest: Iterator[list[str | None]], *, name: str, sheet: str, others: list[str],
           max_rows: int) -> Table:
    width = max(i for i, cell in enumerate(first[0], start=1) if cell is not None and cell.strip())
    header = [cell or "" for cell in first[0][:width]]
    findings: list[Finding] = []
    if header_is_data(header, [[cell or "" for cell in row] for row in first[1:]]):
        findings.append(header_finding(header))
        columns, pending = [f"column {i}" for i in range(1, width + 1)], first
    else:
        columns, pending = named_columns(header, name=name), first[1:]
    if others:
        findings.append(Finding(code="other-sheets", severity=INFO, count=len(others), message=f"Only the sheet {sheet!r} was read.",
                                remedy="Move another sheet to the front, or save it as its own file, to import it.",
                                example=", ".join(others[:5])))
    builder = RowBuilder(columns, max_rows=max_rows, name=name)
    for part in (pending, rest):
        for row in part:
            if any(cell is not None and cell.strip() for cell in row[width:]):
                builder.leave_out(f"it has filled cells to the right of the {width} named columns")
            else:
                builder.add(row[:width])
    return builder.table(format=f"Excel, sheet {sheet!r}", findings=findings)


def _cell(value: Any) -> str | None:
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return to_text(value)
