"""Where a table begins: titles above it, the column names, and rows below that are none (units, names again)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.readers.dialect import common_width
from core.data.readers.table import HEADER_WORDS, header_finding, header_is_data, named_columns
from core.data.report import INFO, Finding, several
from core.errors import DataError

MAX_TITLES = 30
ROW_NAMES = "row name"
"""The column that R's write.table gives no name."""
_TYPES = frozenset(("string", "str", "text", "varchar", "char", "character", "int", "integer", "int64", "bigint",
                    "float", "float64", "double", "number", "numeric", "decimal", "bool", "boolean", "date", "datetime",
                    "timestamp", "category", "categorical", "factor", "object", "enum"))

Row = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """The column names of a table and which of its first rows are none of its rows."""

    columns: tuple[str, ...]
    above: int
    """First rows that are no rows of the table: titles, and the row of column names where there is one."""
    names: tuple[str, ...] = ()
    """The cells of the row of column names; empty where the first row is data."""
    units: tuple[int, ...] = ()
    """Positions below the names, from 0, of rows that hold units, types or questions."""
    findings: tuple[Finding, ...] = ()

    def repeats(self, row: Row) -> bool:
        """Whether a row is the column names once more, as in files that were joined."""
        return bool(self.names) and tuple(map(_folded, row)) == self.names and any(self.names)


def find(rows: Sequence[Row | None], *, name: str) -> Heading:
    """The heading of a table from its first rows (None: a row that is broken).

    Raises DataError when two columns have one name, or when the names do not fit the rows.
    """
    there = [row if row is not None else () for row in rows]
    above = titles(there)
    if (above and len(there[0]) == len(there[above])
            and header_is_data(there[above], [row for row in there[above + 1 :] if row])):
        above = (0)  # no names follow: what looked like a title is a row, or the names
        if not any(_folded(cell) in HEADER_WORDS for cell in there[0]):
            columns = [f"column {i}" for i in range(1, len(there[0]) + 1)]
            return Heading(columns=tuple(columns), above=0, findings=(header_finding(there[0]),))
    findings = [_titles_finding(there[:above])] if above else []
    header, body = list(there[above]) if len(there) > above else [""], [row for row in there[above + 1 :] if row]
    header = _commented(header, body)
    if header_is_data(header, body):
        columns = [f"column {i}" for i in range(1, len(header) + 1)]
        return Heading(columns=tuple(columns), above=above, findings=(*findings, header_finding(header)))
    while (len(header) > 1 and not header[-1].strip()
           and all(len(row) < len(header) or not row[-1].strip() for row in body)):
        header = header[:-1]
    names = tuple(map(_folded, header))
    header, found = _fitted(header, body, name=name)
    return Heading(columns=tuple(named_columns(header, name=name)), above=above + 1, names=names,
                   units=_units(there[above + 1 : above + 4]), findings=(*findings, *found))


def _folded(cell: str) -> str:
    return cell.replace("\ufeff", "").strip().casefold()


def _filled(row: Row) -> int:
    return sum(bool(cell.strip()) for cell in row)


def titles(rows: Sequence[Row]) -> int:
    """How many rows stand above the table: those with far fewer filled cells than most rows have."""
    width = common_width([_filled(row) for row in rows if row])
    if width < 2:
        return 0
    need = 2 if width <= 3 else (width + 1) // 2
    for count, row in enumerate(rows[:MAX_TITLES]):
        if _filled(row) >= need:
            names_below = (not _names(row) and count + 2 < len(rows) and 2 * _names(rows[count + 1])
                           > len(rows[count + 1]) > 1)
            return count + names_below if count + 1 < len(rows) else 0
    return 0


def _names(row: Row) -> int:
    """Cells that are what columns are often called."""
    return sum(_folded(cell) in HEADER_WORDS for cell in row)


def _titles_finding(rows: Sequence[Row]) -> Finding:
    shown = " / ".join(" ".join(" ".join(row).split())[:60] for row in rows[:3])
    return Finding(code="lines-above", severity=INFO, count=len(rows), example=shown[:120],
                   message=several(len(rows), "line above the column names was", "lines above the column names were")
                           + " skipped.",
                   remedy="Nothing to do where it is a title; otherwise put the column names into the first row.")


def _commented(header: list[str], body: Sequence[Row]) -> list[str]:
    """Column names without the `#` that some tools write before the first of them."""
    if header[0].lstrip("\ufeff").startswith("#") and body and len(header) == len(body[0]):
        return [header[0].lstrip("\ufeff#").strip(), *header[1:]]
    return header


def _fitted(header: list[str], body: Sequence[Row], *, name: str) -> tuple[list[str], list[Finding]]:
    """Column names, as many as rows have cells: R leaves the first away. Raises DataError otherwise."""
    widths = [len(row) for row in body]
    width = common_width(widths)
    trailing = width > len(header) and all(not any(cell.strip() for cell in row[len(header):]) for row in body)
    if len(body) < 3 or width == len(header) or trailing or sum(w == width for w in widths) < 0.9 * len(widths):
        return header, []
    if width == len(header) + 1 and _are_row_names([row[0] for row in body if len(row) == width]):
        finding = Finding(code="row-names", severity=INFO, count=1, example=body[0][0][:60],
                          message=f"The first row has {len(header)} names where the rows have {width} cells: the first "
                                  "column holds row names, as R writes them.",
                          remedy="Nothing to do if the columns below are right; otherwise give every column a name.")
        taken = {cell.strip() for cell in header}
        return [ROW_NAMES if ROW_NAMES not in taken else f"{ROW_NAMES} (first column)", *header], [finding]
    raise DataError(f"The column names of {name} do not fit its rows.",
                    why=f"The first row has {several(len(header), 'name', 'names')} "
                        f"({', '.join(c[:30] for c in header[:5])}), but nearly all rows have "
                        f"{several(width, 'cell', 'cells')}: which name belongs to which cell cannot be told.",
                    remedy="Write one name for each column into the first row, then import the file again.")


def _are_row_names(cells: Sequence[str]) -> bool:
    """Numbers or short names, each different."""
    numbers = all(re.fullmatch(r"\s*\d+\s*", cell) for cell in cells)
    return (len(set(cells)) == len(cells)
            and (numbers or all(len(cell.split()) <= 3 and len(cell) <= 40 for cell in cells)))


def _units(rows: Sequence[Row]) -> tuple[int, ...]:
    """Positions of rows right below the names that describe the columns: units, types, questions of a survey."""
    if len(rows) > 1 and _all(rows[1], lambda cell: cell.startswith('{"ImportId"')):
        return (0, 1)
    if not rows:
        return ()
    first = [cell.strip() for cell in rows[0] if cell.strip()]
    unit = len(first) > 1 and (_all(first, lambda cell: bool(re.fullmatch(r"[(\[<{].{0,24}[)\]>}]", cell)))
                               or _all(first, lambda cell: re.sub(r"\(\d+\)$", "", cell).lower() in _TYPES))
    return (0,) if unit and not any(list(row) == list(rows[0]) for row in rows[1:]) else ()


def _all(cells: Row, test: object) -> bool:
    filled = [cell.strip() for cell in cells if cell.strip()]
    return bool(filled) and all(test(cell) for cell in filled)      # type: ignore[operator]


def is_comment(row: Row, *, width: int, known: bool) -> bool:
    """Whether a row is a remark: it begins with `#` and is not cut like a row, or not filled like one."""
    return (bool(row) and row[0].lstrip("\ufeff ").startswith("#")
            and (len(row) != width or (row[0].startswith("# ") and not known)))


__all__ = ["HEADER_WORDS", "Heading", "common_width", "find", "is_comment", "titles"]
