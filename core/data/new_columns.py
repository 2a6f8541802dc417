"""The text columns of a new table: those that training used, found by name, joined in the same way."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.data import roles
from core.data.readers.table import Table
from core.data.rows import joined_text
from core.domain.dataset import Role, RowSource
from core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a new table says."""

    text: Any
    """`pyarrow` strings (n_rows,)."""
    ids: list[str | None] | None
    """Cells of the id column, where there is one."""
    notes: tuple[str, ...]


def text_table(table: Table, source: RowSource | None, text: str | None) -> Found:
    """The texts of a table. source: where the run's rows came from. text: the column that takes the place of the text
    column.

    Raises DataError naming the columns that were expected and those that were found.
    """
    wanted: tuple[str, ...]
    template: str | None
    if source is None or (source.by_folder and text is None) or not source.named(Role.TEXT):
        wanted, template = ("text",), None
        actual = [_of_no_name(table, text)]
    else:
        _check_positions(table, source)
        template = source.reading.template if source.reading is not None else None
        wanted = _wanted(source, template)
        actual = [_find(table, name, wanted, source, given=text if name == source.named(Role.TEXT)[0] else None)
                  for name in wanted]
    for name in actual:
        roles.check_column(table, name)
    columns = dataclasses.replace(table, data=table.data.select(actual).rename_columns(list(wanted)), unusable={})
    main = source.named(Role.TEXT)[0] if len(wanted) > 1 and source is not None else wanted[0]
    joined = joined_text(columns, {name: Role.TEXT if name == main else Role.SECOND_TEXT for name in wanted}, template)
    known = ("the texts of training were files" if source is not None and source.by_folder
             else "the run was trained on {!r}")
    notes = [f"The texts are those of the column {found!r}; {known.format(name)}."
             for found, name in zip(actual, wanted, strict=True) if found != name and source is not None and text
                        is None]
    return Found(text=joined, ids=_ids(table, source, actual), notes=tuple(notes))


def missing(columns: Sequence[str], source: RowSource | None) -> str:
    """The name that a table's text column must have, where none of these columns has it; empty where one does."""
    names = source.named(Role.TEXT) if source is not None and not source.by_folder else ()
    name = names[0] if names else "text"
    known = any(_folded(column) == _folded(name) for column in columns) or (not names and len(columns) == 1)
    return "" if known else name


def _wanted(source: RowSource, template: str | None) -> tuple[str, ...]:
    """Columns that make the text, in the order of the training file."""
    names = source.named(Role.TEXT, Role.SECOND_TEXT)
    inside = [name.strip() for name in re.findall(r"\{([^{}]*)\}", template or "")]
    return tuple(dict.fromkeys((*names, *inside)))


def _find(table: Table, name: str, wanted: Sequence[str], source: RowSource, *, given: str | None) -> str:
    """The table's name for a column of training."""
    if given is not None:
        return given
    if len(table.columns) == len(wanted) == 1 and _has_no_header(table):
        return table.columns[0]                                      # one column without a name
    if name in (*table.columns, *table.unusable):
        return name
    alike = [column for column in table.columns if _folded(column) == _folded(name)]
    if len(alike) == 1:
        return alike[0]
    only = table.columns[0] if len(table.columns) == 1 and not table.unusable else None
    if only is not None and len(wanted) == 1 and table.format.startswith("Text,"):
        return only                                                  # a text file, one row a line
    expected = ", ".join(repr(part) for part in wanted)
    why = f"Expected: {expected}, as in the training data. Found: {roles.listed(table)}."
    if _has_no_header(table):
        why += " Its first row looks like data, not like column names."
    raise DataError(f"{table.name} has no column {name!r} to read texts from.", why=why,
                    remedy=f"Name the column {name!r} in the first row as in the training data, or say which column "
                           "holds the text (on the command line with --text).")


def _check_positions(table: Table, source: RowSource) -> None:
    """Raise DataError for a table without header whose columns cannot be told apart by their number."""
    count, known = len(table.columns), len(source.columns)
    if _has_no_header(table) and 1 != count != known:
        raise DataError(f"{table.name} has no row of column names, so its text column cannot be told.",
                        why=f"It has {count} columns; the training data had {known}: "
                            f"{', '.join(repr(name) for name in source.columns)}.",
                        remedy="Put a first row with the column names into the file.")


def _of_no_name(table: Table, text: str | None) -> str:
    """The text column where training had none of a name: given, named like texts, or the only one there is."""
    if text is not None:
        return text
    if "text" in table.columns:
        return "text"
    if len(table.columns) == 1:
        return table.columns[0]
    proposed = next(((name, p) for name, p in roles.propose(table).items() if p.role is Role.TEXT), None)
    if proposed is not None and proposed[1].evidence.startswith("it is named"):
        return proposed[0]
    raise DataError(f"{table.name} has no column 'text'.", why=f"Its columns are: {roles.listed(table)}.",
                    remedy="Say which column holds the text (on the command line with --text).")


def _ids(table: Table, source: RowSource | None, taken: Sequence[str]) -> list[str | None] | None:
    """Cells of the column that was the id in training, else of one that is named like an id."""
    known = source.named(Role.ID) if source is not None else ()
    name = next((column for column in table.columns if column in known and column not in taken), None)
    if name is None:
        name = next((n for n, p in roles.propose(table).items() if p.role is Role.ID and n not in taken), None)
    return None if name is None else list(table.data.column(name).to_pylist())


def _has_no_header(table: Table) -> bool:
    return any(finding.code == "header-is-data" for finding in table.findings)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").split())
