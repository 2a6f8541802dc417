"""CSV, TSV and their relatives: separator, quotes and encoding are found out, bad rows are counted."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from core.data import encodings
from core.data.readers import fast_csv, heading
from core.data.readers.dialect import (
    SAMPLE_CHARS,
    SAMPLE_ROWS,
    SEPARATORS,
    Dialect,
    Shape,
    cooked,
    detect_dialect,
    hinted_separator,
    restored,
    shape_of,
)
from core.data.readers.heading import Heading
from core.data.readers.table import RowBuilder, Table, whole_table
from core.data.report import INFO, WARNING, Finding, several
from core.errors import DataError

_MAX_REPAIRS = 100
"""Quotation marks open to the end of the file that one file may have: each costs reading the rest once more."""
_LOOK_AFTER = frozenset((3, 10, 30, 100, 300, 1_000, 10_000, 100_000))
"""Lines inside one cell after which it is asked whether these are rows."""
_RAGGED = " where the first row has "
_UNCLOSED = "a quotation mark in this row is never closed"
_ORANGE_TYPES = frozenset({"d", "c", "s", "t", "discrete", "continuous", "string", "time", ""})


def read(path: Path, *, max_rows: int) -> Table:
    """Read a delimited text file. Raises DataError when it is not text, has no rows, or repeats a column name."""
    csv.field_size_limit(2**31 - 1)
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as file:
        sample = file.read(SAMPLE_CHARS)
        if not sample.strip():
            raise DataError(f"{path.name} is empty.", why="There is nothing in it, or blanks alone.",
                            remedy="Choose a file with a first row of column names and at least some rows below it.")
        first_line, _, rest = sample.partition("\n")
        hinted = hinted_separator(first_line.partition("\r")[0])
        if hinted is not None:
            sample = rest if "\r" not in first_line.rstrip("\r") else sample.partition("\r")[2]
        dialect = detect_dialect(sample, hint="\t" if path.suffix.lower() in (".tsv", ".tab") else ",",
                                 separator=hinted)
        shape = shape_of(sample, dialect)
        file.seek(0)
        lines: Iterator[str] = iter(file)
        if hinted is not None:
            next(lines)
        comments, lines = _without_comments(lines, shape)
        findings = [*_encoding_findings(encoding), *_comment_findings(comments)]
        at_start = hinted is None and not comments
        fast = _fast_reader(path, encoding, dialect) if at_start else None
        first = next(lines, "")
        records = Records(chain([first], lines), shape)
        separator = SEPARATORS.get(dialect.separator, repr(dialect.separator)).capitalize()
        return _null_words(_build(records, shape, first_line=first, name=path.name, max_rows=max_rows,
                                  findings=findings, fast=fast,
                                  format=f"{separator}-separated text, {encoding.name}"))


def _fast_reader(path: Path, encoding: encodings.Encoding, dialect: Dialect) -> Callable[..., Any] | None:
    plain = dialect.quote == '"' and not dialect.backslash and not dialect.spaced
    if (plain and path.stat().st_size >= fast_csv.MIN_BYTES and encoding.name in ("utf-8", "utf-8-sig")
            and not encoding.mixed):
        return lambda **options: fast_csv.read_clean(path, separator=dialect.separator, **options)
    return None


def _without_comments(lines: Iterator[str], shape: Shape) -> tuple[list[str], Iterator[str]]:
    """(lines that begin with `#` above the table, the others). The last may be the column names: then it stays."""
    comments: list[str] = []
    for line in lines:
        if not line.strip() and comments:
            continue
        if not line.lstrip("\ufeff").startswith("#"):
            return _names_among(comments, line, shape, lines)
        comments.append(line)
        if len(comments) > heading.MAX_TITLES:
            break
    return [], chain(comments, lines)                                # texts that begin with a hash sign


def _names_among(comments: list[str], line: str, shape: Shape, rest: Iterator[str]) -> tuple[list[str], Iterator[str]]:
    if not comments:
        return [], chain([line], rest)
    cells = [cell.strip().lower() for cell in shape.dialect.cells(line)]
    last = shape.dialect.cells(comments[-1].lstrip("\ufeff# "))
    names_below = any(cell in heading.HEADER_WORDS for cell in cells)
    fits = len(last) == shape.width and shape.width > 1
    if names_below or not fits:
        if all(len(shape.dialect.cells(c)) == shape.width and shape.knows(shape.dialect.cells(c)) for c in comments):
            return [], chain(comments, [line], rest)                 # rows whose text begins with a hash sign
        return comments, chain([line], rest)
    if shape.knows(shape.dialect.cells(comments[-1])):
        return [], chain(comments, [line], rest)
    return comments[:-1], chain([comments[-1].lstrip("\ufeff# ")], [line], rest)


def _build(records: Records, shape: Shape, *, first_line: str, name: str, max_rows: int, findings: list[Finding],
           fast: Callable[..., Any] | None, format: str) -> Table:
    first = list(islice(records, SAMPLE_ROWS))
    if first and first[0] is None and len(names := shape.dialect.cells(first_line)) == shape.width:
        first[0] = names  # they open a mark that is never closed: names all the same
    first, top = _orange(first)
    head = heading.find(top, name=name)
    findings += head.findings
    pending: Sequence[list[str] | None] = first[head.above :]
    if (fast is not None and head.above == 1 and not head.units and len(head.columns) == len(head.names) > 1
            and first is top):
        data = fast(columns=head.columns, first_rows=pending, shape=shape, names=head.names)
        if data is not None:
            return whole_table(data, max_rows=max_rows, name=name, format=format, findings=findings)
    builder = RowBuilder(head.columns, max_rows=max_rows, name=name)
    for position, record in enumerate(chain(pending, records)):
        if position in head.units:
            builder.leave_out("it describes the columns (units, types or questions)")
        else:
            _add(builder, record, head, shape)
    return builder.table(format=format, findings=findings)


def _add(builder: RowBuilder, record: list[str] | None, head: Heading, shape: Shape) -> None:
    width = len(builder.columns)
    if record is None:
        builder.leave_out(_UNCLOSED)
    elif heading.is_comment(record, width=width, known=shape.could_be(record)):
        builder.leave_out("it is a remark that begins with #")
    elif head.repeats(record):
        builder.leave_out("it repeats the column names")
    elif len(record) == width:
        builder.add(record)
    elif len(record) > width and not any(cell.strip() for cell in record[width:]):
        builder.add(record[:width])
    else:
        separator = SEPARATORS.get(shape.dialect.separator, repr(shape.dialect.separator))
        hint = f": an unquoted {separator} inside a cell?" if len(record) > width else ""
        builder.leave_out(f"it has {len(record)} cell{'s' if len(record) != 1 else ''}{_RAGGED}{width}{hint}")


def is_ragged(reason: str) -> bool:
    """Whether a row was left out as it has more or fewer cells than others."""
    return _RAGGED in reason


class _Swallowed(Exception):
    """A cell that has swallowed whole rows."""


class Records:
    """The records of a delimited file; None stands for a row whose quotation mark is never closed.

    Such a mark makes the CSV rules swallow what follows, to the end of the file or to the next mark; here it costs one
    row, and reading goes on at the next line. Blank lines are skipped, as every spreadsheet does.
    """

    def __init__(self, lines: Iterable[str], shape: Shape) -> None:
        self._shape = shape
        self._dialect = shape.dialect
        self._swallowed: list[str] = []
        self._repairs = 0
        self._start(cooked(lines, shape.dialect))

    def _start(self, lines: Iterable[str]) -> None:
        self._source = iter(lines)
        self._ended = False
        self._reader = self._dialect.reader(self._feed())

    def _feed(self) -> Iterator[str]:
        for line in self._source:
            self._swallowed.append(line)
            if len(self._swallowed) in _LOOK_AFTER and self._holds_rows(self._swallowed):
                raise _Swallowed
            yield line
        self._ended = True

    def __iter__(self) -> Iterator[list[str] | None]:
        while True:
            self._swallowed = []
            try:
                record = next(self._reader, None)
            except (_Swallowed, csv.Error):
                self._go_on_behind_first_line()
                yield None
                continue
            if record is None:
                return
            if self._ended and self._swallowed:
                self._repairs += 1
                if self._repairs > _MAX_REPAIRS:
                    raise _too_many_open()
            if (self._ended and self._swallowed) or (len(self._swallowed) > 1 and self._holds_rows(self._swallowed)):
                self._go_on_behind_first_line()
                yield None
            elif record:
                yield restored(record, self._dialect)

    def _holds_rows(self, lines: Sequence[str]) -> bool:
        """Whether most lines that became one record are rows of their own; the last, which closes the cell, aside."""
        inside = lines[1:-1]
        rows = sum(map(self._shape.is_row, inside[:1_000]))
        if self._shape.vocabulary:
            return rows + self._shape.opens_alone(lines[0]) >= 0.5 * (len(inside[:1_000]) + 1)
        return rows == len(inside[:1_000]) and (rows >= 5 or (rows >= 2 and self._shape.width > 2))

    def _go_on_behind_first_line(self) -> None:
        self._start(chain(self._swallowed[1:], self._source) if not self._ended else self._swallowed[1:])


def _too_many_open() -> DataError:
    return DataError(f"More than {_MAX_REPAIRS} rows open a quotation mark that is never closed.",
                     why="The quotation marks in this file do not follow the rules of CSV.",
                     remedy="Save the table again from a spreadsheet, or as JSON Lines or Parquet, and "
                            "import that file.")


def _orange(first: list[list[str] | None]) -> tuple[list[list[str] | None], list[list[str] | None]]:
    """(rows without the two more header rows of Orange's .tab files, types and flags; else the same)."""
    if len(first) < 3 or first[1] is None or first[2] is None:
        return first, first
    types = [cell.strip().lower() for cell in first[1]]
    flags = {cell.strip().lower().partition("=")[0] for cell in first[2]}
    if any(types) and set(types) <= _ORANGE_TYPES and flags <= {"class", "meta", "ignore", "i", "m", "c", ""}:
        rows = [first[0], *first[3:]]
        return rows, list(rows)
    return first, first


def _null_words(table: Table) -> Table:
    r"""Cells that say `\N`, as databases write a missing value, become null."""
    import dataclasses

    import pyarrow as pa
    import pyarrow.compute as pc

    data = table.data
    for position, name in enumerate(data.column_names):
        hits = pc.equal(data.column(position), "\\N")
        if pc.any(hits).as_py():
            data = data.set_column(position, name,
                                   pc.if_else(hits, pa.scalar(None, type=pa.large_string()), data.column(position)))
    return table if data is table.data else dataclasses.replace(table, data=data)


def _comment_findings(comments: Sequence[str]) -> list[Finding]:
    if not comments:
        return []
    return [Finding(code="lines-above", severity=INFO, count=len(comments), example=comments[0].strip()[:120],
                    message=several(len(comments), "line that begins with # was", "lines that begin with # were")
                    + " skipped above the column names.",
                    remedy="Nothing to do where these are remarks; otherwise take the # away.")]


def _encoding_findings(encoding: encodings.Encoding) -> list[Finding]:
    if encoding.mixed:
        message = (several(encoding.mixed, "byte is", "bytes are")
                   + " not UTF-8 although the rest of the file is; read as Windows-1252.")
        return [Finding(code="mixed-encodings", severity=WARNING, count=encoding.mixed, message=message,
                        remedy="Look for odd characters in the preview; save the file as UTF-8 if there are any.")]
    if encoding.name not in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        return [Finding(code="encoding-guessed", severity=INFO, count=1,
                        message=f"The file is not UTF-8; it was read as {encoding.name}.",
                        remedy="Look for odd characters in the preview; save the file as UTF-8 if there are any.")]
    return []
