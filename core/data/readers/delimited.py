"""CSV, TSV and their relatives: separator, quotes and encoding are found out, bad rows are counted, nothing is guessed in silence."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from core.data import encodings
from core.data.readers import fast_csv
from core.data.readers.table import RowBuilder, Table, header_finding, header_is_data, named_columns, whole_table
from core.data.report import INFO, WARNING, Finding, several
from core.errors import DataError

SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_SAMPLE_CHARS = 1 << 18
_SAMPLE_ROWS = 200
_MAX_REPAIRS = 100
"""Unclosed quotation marks that one file may have."""
_ORANGE_TYPES = frozenset({"d", "c", "s", "t", "discrete", "continuous", "string", "time", ""})


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a delimited file is written."""

    separator: str
    quote: str = '"'
    backslash: bool = False
    """Quotes inside a cell are written as backslash-quote, not doubled."""

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self.separator, quotechar=self.quote, doublequote=not self.backslash,
                          escapechar="\\" if self.backslash else None)


def read(path: Path, *, max_rows: int) -> Table:
    """Read a delimited text file. Raises DataError when it is not text, has no rows, or repeats a column name."""
    csv.field_size_limit(2**31 - 1)
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as file:
        sample = file.read(_SAMPLE_CHARS)
        if not sample.strip():
            raise DataError(f"{path.name} is empty.",
                            remedy="Choose a file with a first row of column names and at least some rows below it.")
        dialect = detect_dialect(sample, hint="\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
        file.seek(0)
        records = Records(file, dialect)
        return _build(records, dialect, encoding, path=path, max_rows=max_rows)


def _build(records: Records, dialect: Dialect, encoding: encodings.Encoding, *, path: Path, max_rows: int) -> Table:
    name = path.name
    shown = f"{SEPARATORS[dialect.separator].capitalize()}-separated text, {encoding.name}"
    first = list(islice(records, _SAMPLE_ROWS))
    header = first[0] or [""]
    findings = _encoding_findings(encoding)
    rows_ahead = [row for row in first[1:] if row is not None]
    if header_is_data(header, rows_ahead):
        findings.append(header_finding(header))
        columns = [f"column {i}" for i in range(1, len(header) + 1)]
        pending: Sequence[list[str] | None] = first
    else:
        while len(header) > 1 and not header[-1].strip() and all(len(row) < len(header) or not row[-1] for row in rows_ahead):
            header = header[:-1]
        columns = named_columns(header, name=name)
        orange = _is_orange_header(first)
        pending = first[3:] if orange else first[1:]
        fast = (path.stat().st_size >= fast_csv.MIN_BYTES and encoding.name in ("utf-8", "utf-8-sig") and not encoding.mixed
                and not orange and _is_plain(dialect, columns))
        data = fast_csv.read_clean(path, separator=dialect.separator, columns=columns, first_rows=first[1:]) if fast else None
        if data is not None:
            return whole_table(data, max_rows=max_rows, name=name, format=shown, findings=findings)
    builder = RowBuilder(columns, max_rows=max_rows, name=name)
    for record in pending:
        _add(builder, record, dialect)
    for record in records:
        _add(builder, record, dialect)
    return builder.table(format=shown, findings=findings)


def _is_plain(dialect: Dialect, columns: Sequence[str]) -> bool:
    return dialect.quote == '"' and not dialect.backslash and len(columns) > 1


def _add(builder: RowBuilder, record: list[str] | None, dialect: Dialect) -> None:
    width = len(builder.columns)
    if record is None:
        builder.leave_out("a quotation mark in this row is never closed")
    elif len(record) == width:
        builder.add(record)
    elif len(record) > width and not any(cell.strip() for cell in record[width:]):
        builder.add(record[:width])
    else:
        hint = f": an unquoted {SEPARATORS[dialect.separator]} inside a cell?" if len(record) > width else ""
        builder.leave_out(f"it has {len(record)} cell{'s' if len(record) != 1 else ''} where the first row has {width}{hint}")


class Records:
    """The records of a delimited file; None stands for a row whose quotation mark is never closed.

    Such a mark makes the CSV rules swallow the rest of the file; here it costs one row, and reading goes on at the next line.
    Blank lines are skipped, as every spreadsheet does.
    """

    def __init__(self, lines: Iterable[str], dialect: Dialect) -> None:
        self._dialect = dialect
        self._source = iter(lines)
        self._swallowed: list[str] = []
        self._ended = False
        self._repairs = 0
        self._reader = dialect.reader(self._feed())

    def _feed(self) -> Iterator[str]:
        for line in self._source:
            self._swallowed.append(line)
            yield line
        self._ended = True

    def __iter__(self) -> Iterator[list[str] | None]:
        while True:
            self._swallowed.clear()
            record = next(self._reader, None)
            if record is None:
                return
            if self._ended and self._swallowed:
                self._repair()
                yield None
            elif record:
                yield record

    def _repair(self) -> None:
        self._repairs += 1
        if self._repairs > _MAX_REPAIRS:
            raise DataError(f"More than {_MAX_REPAIRS} rows open a quotation mark that is never closed.",
                            why="The quotation marks in this file do not follow the rules of CSV.",
                            remedy="Save the table again from a spreadsheet, or as JSON Lines or Parquet, and import that file.")
        self._source, self._ended = iter(self._swallowed[1:]), False
        self._swallowed = []
        self._reader = self._dialect.reader(self._feed())


def detect_dialect(sample: str, *, hint: str = ",") -> Dialect:
    """Separator and quoting of a sample of text: the separator that cuts most rows as wide as the first one wins."""
    quote = '"' if '"' in sample or not _single_quoted(sample) else "'"
    backslash = bool(re.search(r'\\"(?=[\w ])', sample)) and '""' not in re.sub(r'(^|[,;\t|\n])""(?=[,;\t|\r\n]|$)', "", sample)
    best, best_score = hint, (0.0, 0)
    for separator in (hint, *(s for s in SEPARATORS if s != hint)):
        dialect = Dialect(separator=separator, quote=quote, backslash=backslash)
        widths = [len(row) for row in islice(dialect.reader(io.StringIO(sample, newline="")), _SAMPLE_ROWS) if row]
        if len(sample) >= _SAMPLE_CHARS:
            widths = widths[:-1] or widths
        score = (sum(width == widths[0] for width in widths) / len(widths), widths[0]) if widths and widths[0] > 1 else (0.0, 0)
        if score[0] > best_score[0] + 0.05 or (score[0] >= best_score[0] and best_score[0] == 0.0 and score[0] > 0):
            best, best_score = separator, score
    return Dialect(separator=best, quote=quote, backslash=backslash)


def _single_quoted(sample: str) -> bool:
    lines = [line for line in sample.splitlines()[:_SAMPLE_ROWS] if line.strip()]
    quoted = sum(bool(re.search(r"(^|[,;\t|])'[^']*'([,;\t|]|$)", line)) for line in lines)
    return quoted > 0.8 * len(lines)


def _is_orange_header(first: Sequence[list[str] | None]) -> bool:
    """Orange's .tab files have two more header rows: column types and column flags."""
    if len(first) < 3 or first[1] is None or first[2] is None:
        return False
    types = [cell.strip().lower() for cell in first[1]]
    flags = {cell.strip().lower().partition("=")[0] for cell in first[2]}
    return any(types) and set(types) <= _ORANGE_TYPES and flags <= {"class", "meta", "ignore", "i", "m", "c", ""}


def _encoding_findings(encoding: encodings.Encoding) -> list[Finding]:
    if encoding.mixed:
        message = several(encoding.mixed, "byte is", "bytes are") + " not UTF-8 although the rest of the file is; read as Windows-1252."
        return [Finding(code="mixed-encodings", severity=WARNING, count=encoding.mixed, message=message,
                        remedy="Look for odd characters in the preview; save the file as UTF-8 if there are any.")]
    if encoding.name not in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        return [Finding(code="encoding-guessed", severity=INFO, count=1, message=f"The file is not UTF-8; it was read as {encoding.name}.",
                        remedy="Look for odd characters in the preview; save the file as UTF-8 if there are any.")]
    return []
