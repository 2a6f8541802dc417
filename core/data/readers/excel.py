"""XLSX: the first sheet that holds a table, or those named after splits. Formulas are never computed; their stored
values are read."""

from __future__ import annotations

import dataclasses
import datetime
import re
import zipfile
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from core.data import several_files
from core.data.archive import UNREADABLE, check_members
from core.data.readers import heading, sheet_xml
from core.data.readers.json_rows import to_text
from core.data.readers.sheet_xml import SheetFacts
from core.data.readers.table import RowBuilder, Table
from core.data.report import INFO, WARNING, Finding, several
from core.errors import DataError

_SAMPLE_ROWS = 200
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")

Row = list[str | None]


def read(path: Path, *, max_rows: int, max_files: int, first_rows: int | None = None) -> Table:
    """Read the first sheet with a table (first_rows: only its beginning). Raises DataError where there is none."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(path) as bundle:
            check_members(bundle.infolist(), path, max_files=max_files, max_bytes=2_000_000_000)
            with path.open("rb") as file:                            # opened here: openpyxl judges a path by its suffix
                book = openpyxl.load_workbook(file, read_only=True, data_only=True)
                return _read(book, bundle, name=path.name, max_rows=max_rows, first_rows=first_rows)
    except (*UNREADABLE, InvalidFileException, KeyError, SyntaxError, TypeError, AttributeError, OverflowError,
            AssertionError) as error:
        raise DataError(f"{path.name} cannot be read as an Excel file.",
                        why=f"It is damaged or of an unknown kind ({str(error)[:150]}).",
                        remedy="Open it in a spreadsheet, save it as CSV (UTF-8), and import that file.") from error


def _read(book: Any, bundle: zipfile.ZipFile, *, name: str, max_rows: int, first_rows: int | None) -> Table:
    """The visible sheets that are named after splits, joined; or the first one with a table; one without columns, or a
    hidden one, only failing that."""
    sheets = sorted(book.worksheets, key=lambda sheet: sheet.sheet_state != "visible")
    if parts := _of_splits(sheets):
        unread = [sheet for sheet in sheets if sheet not in [part for part, _ in parts]]
        try:
            read = [(sheet.title, split, _first([sheet], bundle, name=name, max_rows=max_rows, first_rows=first_rows))
                    for sheet, split in parts]
            joined = several_files.join(read, name=name, max_rows=max_rows, things="sheets")
        except DataError:                                            # an empty one, or one of other columns
            return _first(sheets, bundle, name=name, max_rows=max_rows, first_rows=first_rows)
        return dataclasses.replace(joined, findings=(*joined.findings, *_unread(unread)))
    return _first(sheets, bundle, name=name, max_rows=max_rows, first_rows=first_rows)


def _of_splits(sheets: Sequence[Any]) -> list[tuple[Any, str]]:
    """(sheet, split) of the visible sheets whose names say train, test and the like; empty where they do not."""
    found = [(sheet, split) for sheet in sheets
             if sheet.sheet_state == "visible" and (split := several_files.split_of(sheet.title))]
    splits = [split for _, split in found]
    return found if "train" in splits and 1 < len(splits) == len(set(splits)) else []


def _unread(sheets: Sequence[Any]) -> Iterator[Finding]:
    if sheets:
        yield Finding(code="other-sheets", severity=INFO, count=len(sheets),
                      example=", ".join(sheet.title for sheet in sheets[:5]),
                      message=several(len(sheets), "sheet is", "sheets are")
                              + " not named after a split, and not read.",
                      remedy="Nothing to do, or save it as its own file to import it.")


def _first(sheets: Sequence[Any], bundle: zipfile.ZipFile, *, name: str, max_rows: int,
           first_rows: int | None) -> Table:
    """The first of these sheets with a table; one without columns only failing that."""
    second: Any = None
    for sheet in sheets:
        with bundle.open(sheet._worksheet_path.lstrip("/")) as stream:
            facts = sheet_xml.look(stream, name=name)
        rows = _filled(sheet, facts)
        first = list(islice(rows, _SAMPLE_ROWS))
        if sum(sum(map(_is_filled, row)) > 1 for row in first) > 1:
            return _build(first, rows, facts, name=name, sheet=sheet, others=sheets, max_rows=max_rows,
                          first_rows=first_rows)
        if first and second is None:
            second = (first, rows, facts, sheet)
    if second is None:
        raise DataError(f"{name} is empty.", why="None of its sheets has a filled cell.",
                        remedy="Choose a file with rows.")
    first, rows, facts, sheet = second
    return _build(first, rows, facts, name=name, sheet=sheet, others=sheets, max_rows=max_rows, first_rows=first_rows)


def _filled(sheet: Any, facts: SheetFacts) -> Iterator[Row]:
    """The rows with a filled cell, without empty cells at their end. Merged cells have their value in every row."""
    sheet.reset_dimensions()                                         # what the file says about its size may be wrong
    spread: dict[int, tuple[int, str | None]] = {}  # column -> (last row, value) of cells that reach down to here
    for number, values in enumerate(islice(sheet.iter_rows(values_only=True), facts.last_row), start=1):
        row = list(map(_cell, values))
        for column, (last_row, value) in spread.items():
            if number <= last_row:
                row.extend([None] * (column + 1 - len(row)))
                row[column] = value
        spread |= {column: (last, row[column]) for column, last in facts.merged.get(number, ()) if column < len(row)}
        while row and not _is_filled(row[-1]):
            row.pop()
        if row:
            yield row


def _build(first: list[Row], rest: Iterator[Row], facts: SheetFacts, *, name: str, sheet: Any, others: Sequence[Any],
           max_rows: int, first_rows: int | None) -> Table:
    head = heading.find(_rectangular(first), name=name)
    width = len(head.columns)
    builder = RowBuilder(head.columns, max_rows=max_rows, name=name)
    for position, row in enumerate(islice(chain(first[head.above:], rest), first_rows)):
        cells = [cell or "" for cell in row]
        if position in head.units:
            builder.leave_out("it describes the columns (units, types or questions)")
        elif head.repeats(cells):
            builder.leave_out("it repeats the column names")
        elif any(map(_is_filled, row[width:])):
            builder.leave_out(f"it has filled cells to the right of the {width} named columns")
        else:
            builder.add(row)
    findings = [*head.findings, *_findings(facts, sheet, others)]
    return builder.table(format=f"Excel, sheet {sheet.title!r}", findings=findings)


def _rectangular(rows: Sequence[Row]) -> list[list[str]]:
    """Rows as texts, as wide as the column names reach, unless nearly all rows reach further."""
    texts = [[cell or "" for cell in row] for row in rows]
    titles = heading.titles(texts)
    width = len(texts[titles])
    beyond = sum(len(row) > width for row in texts[titles + 1:])
    if beyond < 0.9 * len(texts[titles + 1:]) or not beyond:
        return [*texts[: titles + 1], *([*row, *[""] * (width - len(row))][:width] for row in texts[titles + 1:])]
    longest = heading.common_width([len(row) for row in texts[titles + 1:]])
    return [*texts[: titles + 1], *([*row, *[""] * (longest - len(row))][:longest] for row in texts[titles + 1:])]


def _findings(facts: SheetFacts, sheet: Any, sheets: Sequence[Any]) -> Iterator[Finding]:
    others = [other.title for other in sheets if other is not sheet]
    hidden = " It is hidden; no sheet that is shown holds rows." if sheet.sheet_state != "visible" else ""
    if others or hidden:
        yield Finding(code="other-sheets", severity=WARNING if hidden else INFO, count=len(others),
                      message=f"Only the sheet {sheet.title!r} was read.{hidden}",
                      remedy="Move another sheet to the front, or save it as its own file, to import it.",
                      example=", ".join(others[:5]))
    if facts.formulas_without_value:
        yield Finding(code="formulas-without-values", severity=WARNING, count=facts.formulas_without_value,
                      message=several(facts.formulas_without_value, "cell holds a formula", "cells hold formulas")
                      + " without a stored value; these count as empty.",
                      remedy="Open the file in a spreadsheet, let it calculate, save it, and import it again.")
    if merged := sum(map(len, facts.merged.values())):
        yield Finding(code="merged-cells", severity=INFO, count=merged,
                      message=several(merged, "group of cells is", "groups of cells are")
                      + " merged over several rows; each of these rows got the value.",
                      remedy="Nothing to do if that is what is meant; otherwise take the merged cells apart.")


def _is_filled(cell: str | None) -> bool:
    return cell is not None and bool(cell.strip())


def _cell(value: Any) -> str | None:
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, str) and "_x" in value:
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)).replace("\r", ""), value)
    return to_text(value)
