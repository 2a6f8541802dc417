"""The table every reader makes, and the builder that row-by-row readers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data import meter
from core.data.report import WARNING, Finding, LeftOut
from core.errors import DataError

if TYPE_CHECKING:
    from core.data.pictures.source import PictureSource

MAX_COLUMNS = 1_000
"""Most columns a table may have."""
MAX_CELLS = 50_000_000
"""Most cells, empty ones included: each takes eight bytes or more."""
_CHUNK_ROWS = 10_000
_CHUNK_CELLS = 1_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A file as read: every cell is text or null, nothing is dropped but what `left_out` names."""

    name: str
    """File or folder name, for display: it may hold any characters."""
    format: str
    """What it was read as, e.g. `CSV, separated by comma, utf-8`."""
    data: Any
    """`pyarrow.Table` of string columns, one row a kept row."""
    row_numbers: Any
    """int64 array (n_rows,): 1 is the first row after the header."""
    rows_read: int
    left_out: tuple[LeftOut, ...] = ()
    findings: tuple[Finding, ...] = ()
    unusable: dict[str, str] = field(default_factory=dict)
    """Columns that cannot be text (nested, binary) -> why."""
    read_seconds: float = 0.0
    pictures: PictureSource | None = None
    """The pictures that `image_column` names; None for texts."""
    image_column: str = ""
    documents: Table | None = None
    """Where rows are the lines of plain text files: the same with a whole file a row."""
    by_folder: bool = False
    """Whether each row is a file and its label the folder it lies in."""
    aside: dict[str, str] = field(default_factory=dict)
    """Columns that the reader knows to be neither text nor label -> why; a person may make them one."""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.data.column_names)

    def __len__(self) -> int:
        return int(self.data.num_rows)


class RowBuilder:
    """Collects rows of named cells into Arrow chunks, so that a large file never sits in memory as Python objects."""

    def __init__(self, columns: Sequence[str], *, max_rows: int, name: str) -> None:
        check_width(len(columns), name=name)
        self.columns = list(columns)
        self.max_rows = max_rows
        self.name = name
        self.left_out: list[LeftOut] = []
        self.rows_read = 0
        self._pending: list[Sequence[str | None]] = []
        self._chunks: list[Any] = []
        self._numbers: list[int] = []

    def add(self, cells: Sequence[str | None]) -> None:
        """Keep the next row; `cells` in the order of `columns` (a shorter row is filled up with nulls)."""
        self._count()
        self._numbers.append(self.rows_read)
        self._pending.append(cells)
        if len(self._pending) >= min(_CHUNK_ROWS, max(1, _CHUNK_CELLS // max(1, len(self.columns)))):
            self._flush()

    def leave_out(self, reason: str, *, file: str = "") -> None:
        """Count the next row as read and left out; `file`: its name where rows are files."""
        self._count()
        self.left_out.append(LeftOut(row=self.rows_read, reason=reason, file=file))

    def add_column(self, name: str) -> int:
        """A column that turns up later (JSON): rows so far get null there. Returns its position. Raises DataError above
        `MAX_COLUMNS`."""
        check_width(len(self.columns) + 1, name=self.name)
        self.columns.append(name)
        return len(self.columns) - 1

    def _count(self) -> None:
        self.rows_read += 1
        if self.rows_read > self.max_rows:
            raise too_many_rows(self.name, self.max_rows)
        if self.rows_read * len(self.columns) > MAX_CELLS:
            raise _too_wide(self.name, f"{self.rows_read:,} rows of {len(self.columns):,} columns",
                            f"{MAX_CELLS:,} cells")

    def _flush(self) -> None:
        if not self._pending:
            return
        width = max(map(len, self._pending))  # columns that turn up later are added once, in `table`
        padded = [row if len(row) == width else [*row, *[None] * (width - len(row))] for row in self._pending]
        cells = zip(*padded, strict=True) if width else ()
        self._chunks.append((len(padded), [text_array(list(column)) for column in cells]))
        self._pending = []
        meter.report("reading rows", self.rows_read)

    def table(self, *, format: str, findings: Sequence[Finding] = (), unusable: dict[str, str] | None = None) -> Table:
        """The finished table."""
        import pyarrow as pa

        self._flush()
        empty = pa.nulls(max((rows for rows, _ in self._chunks), default=0), pa.large_string())
        columns = []
        for position in range(len(self.columns)):
            pieces = [cells[position] if position < len(cells) else empty.slice(0, rows)
                      for rows, cells in self._chunks]
            columns.append(pa.chunked_array(pieces, type=pa.large_string()))
        data = pa.table(columns, names=self.columns)
        return Table(name=self.name, format=format, data=data,
                     row_numbers=np.asarray(self._numbers, dtype=np.int64), rows_read=self.rows_read,
                     left_out=tuple(self.left_out), findings=tuple(findings), unusable=unusable or {})


def whole_table(data: Any, *, max_rows: int, name: str, format: str, findings: Sequence[Finding] = (),
                unusable: dict[str, str] | None = None) -> Table:
    """A `Table` of string columns of which every row is kept. Raises DataError above `max_rows`."""
    if data.num_rows > max_rows:
        raise too_many_rows(name, max_rows)
    return Table(name=name, format=format, data=data, row_numbers=np.arange(1, data.num_rows + 1, dtype=np.int64),
                 rows_read=data.num_rows, findings=tuple(findings), unusable=unusable or {})


def too_many_rows(name: str, max_rows: int) -> DataError:
    """The refusal of a file with more rows than this installation takes."""
    return DataError(f"{name} has more than {max_rows:,} rows.", why="That is the limit of this installation.",
                     remedy="Import a sample of it, or raise THAW_MAX_ROWS and start again.")


def check_width(columns: int, *, name: str) -> None:
    """Raise DataError for a table with more than `MAX_COLUMNS` columns."""
    if columns > MAX_COLUMNS:
        raise _too_wide(name, f"more than {MAX_COLUMNS:,} columns", f"{MAX_COLUMNS:,} columns")


def _too_wide(name: str, what: str, limit: str) -> DataError:
    return DataError(f"{name} has {what}.",
                     why=f"At most {limit} are read; a table of texts and labels needs only a few.",
                     remedy="Save only the columns of text and label (and id or split, if there are any), and "
                            "import that file.")


def text_array(cells: list[str | None]) -> Any:
    """A large_string Arrow array; characters that no encoding knows (lone surrogates) become `?`."""
    import pyarrow as pa

    try:
        return pa.array(cells, type=pa.large_string())
    except UnicodeEncodeError:
        return pa.array([cell if cell is None else cell.encode("utf-8", "replace").decode() for cell in cells],
                        type=pa.large_string())


def named_columns(header: Sequence[str], *, name: str) -> list[str]:
    """Column names from a header row: outer spaces go, empty names become `column 3`. Raises DataError for two equal
    names and for too many columns."""
    check_width(len(header), name=name)
    names = [" ".join(cell.replace("\x00", "").split()) or f"column {i}" for i, cell in enumerate(header, start=1)]
    seen: set[str] = set()
    for column in names:
        if column in seen:
            raise DataError(f"{name} has two columns named {column!r}.",
                            why="Thaw could not tell which of them you mean.",
                            remedy="Give every column its own name in the first row, then import the file again.")
        seen.add(column)
    return names


HEADER_WORDS = frozenset((
    "text", "texts", "sentence", "sentence1", "sentence2", "review", "content", "body", "message", "comment",
    "document", "title", "subject", "headline", "summary", "description", "question", "answer", "premise", "hypothesis",
    "label", "labels", "class", "classes", "category", "categories", "target", "sentiment", "topic", "y", "id", "index",
    "split", "set", "fold", "domain", "source", "url", "date", "author", "name", "rating", "score", "language",
    "lang", "tweet", "article", "text1", "text2", "label_text", "label_name"))


def header_is_data(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row looks like data: long cells, numbers among numbers, or values of their own column."""
    cells = [" ".join(cell.split()) for cell in header]
    rows = [row for row in rows if list(row) != list(header)]        # the names once more, in files that were joined
    columns = [[" ".join(row[position].split()) for row in rows if position < len(row)]
               for position in range(len(cells))]
    if (not rows or any(cell.lower() in HEADER_WORDS and not _is_class(cell, column)
                        for cell, column in zip(cells, columns, strict=True))):
        return False
    for cell, column in zip(cells, columns, strict=True):
        if len(cell) > 80 or cell.count(" ") > 10:
            return True
        if _is_number(cell) and column and all(_is_number(value) for value in column if value):
            return True
        if _is_class(cell, column) or _is_sentence(cell, column):
            return True
    return False


def _is_sentence(cell: str, column: Sequence[str]) -> bool:
    """Whether a cell is a sentence above sentences; a question above its answers is none."""
    ended = [_ends(value) for value in column if value]
    return _ends(cell) and sum(ended) > len(ended) / 2


def _ends(value: str) -> bool:
    return " " in value and value.endswith((".", "!", "?", "…"))


def _is_class(cell: str, column: Sequence[str]) -> bool:
    """Whether a cell is one of the values that repeat in its column."""
    return bool(cell) and column.count(cell) >= 2 and len(set(column)) <= max(2, len(column) // 2)


def header_finding(cells: Sequence[str]) -> Finding:
    """The finding for a file whose first row is data."""
    shown = " | ".join(cell[:30] for cell in cells[:4])
    return Finding(code="header-is-data", severity=WARNING, count=1,
                   message="The first row looks like data, so it was kept as a row.",
                   remedy="If it is a header, rename it to words such as text and label; otherwise add a first row "
                          "with column names.",
                   rows=(1,), example=shown[:120])


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
