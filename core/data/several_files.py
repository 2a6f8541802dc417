"""Tables that lie apart: train.csv and test.csv in one archive or folder become one table with a split column."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np

from core.data import packed
from core.data.readers.table import Table, too_many_rows
from core.data.report import INFO, WARNING, Finding, LeftOut, several
from core.data.splits import ALIASES
from core.errors import DataError

_ANSWERS = frozenset(("submission", "submissions", "solution", "solutions", "answers", "labels"))
"""Words in the names of files that belong to a contest, not to its rows."""
_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".arrow", ".feather", ".xlsx")
_SHARED = 3
TEXTS = (".txt", ".tokens", ".raw", ".label")
"""Endings of plain texts: WikiText has the second and third, TREC the last."""
_ABOUT = frozenset(("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"))
"""What the `datasets` library saves beside the rows."""


def is_table(name: str) -> bool:
    """Whether the name ends like a table that can be read, compressed or not, and says nothing else."""
    return PurePosixPath(name).name not in _ABOUT and PurePosixPath(packed.inner_name(name)).suffix.lower() in _TABLES


def split_of(name: str) -> str:
    """The split that a file's name, or else the folder it lies in, says it is; "" where none or several do."""
    path = PurePosixPath(name.replace("\\", "/"))
    for part in (PurePosixPath(packed.inner_name(path.name)).stem, *reversed(path.parts[:-1])):
        words = {re.sub(r"(set|data)$", "", word) for word in re.split(r"[^a-z]+", part.lower())}
        if found := {ALIASES[word] for word in words if word in ALIASES}:
            return found.pop() if len(found) == 1 else ""
    return ""


def are_of_one_series(names: Sequence[str]) -> bool:
    """Whether names go together: one alone, numbers, or a beginning or an end of three letters that all have
    (`Youtube01-Psy`, `Youtube02-Eminem`)."""
    stems = [PurePosixPath(packed.inner_name(PurePosixPath(name).name)).stem for name in names]
    shared = _beginning(stems), _beginning([stem[::-1] for stem in stems])
    return (len(stems) == 1 or all(stem.isdecimal() for stem in stems)
            or max(sum(map(str.isalpha, part)) for part in shared) >= _SHARED)


def _beginning(words: Sequence[str]) -> str:
    """What all words begin with."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*words, strict=False))
    return "".join(letters[0] for letters in alike)


def plan(files: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(file, split or "") of the tables to read: the only one, or those whose names say their splits; empty where that
    cannot be told."""
    files = list(files)
    texts = [name for name in files if name.lower().endswith(TEXTS) and split_of(PurePosixPath(name).name)]
    tables = [name for name in files if is_table(name)] or texts
    rows = ([name for name in tables
             if not _ANSWERS.intersection(re.split(r"[^a-z]+", PurePosixPath(name).name.lower()))] or tables)
    if len(rows) == 1 and is_table(rows[0]):
        return ((rows[0], ""),)
    named = [(name, split) for name in rows if (split := split_of(name))]
    if not any(split == "train" for _, split in named):
        return ()
    order = {"train": 0, "validation": 1, "test": 2}
    named.sort(key=lambda item: (order.get(item[1], 3), item[0]))
    if len({split for _, split in named}) == 1:
        named = [(name, "") for name, _ in named]
    return tuple(named)


def join(parts: Sequence[tuple[str, str, Table]], *, name: str, max_rows: int, things: str = "files") -> Table:
    """One table from the tables of a plan: (file, split, table). Columns that one lacks are null there, and that is a
    finding. things: what the tables lay in, for messages.

    Raises DataError where the tables have no column in common, or have too many rows together.
    """
    if len(parts) == 1:
        return dataclasses.replace(parts[0][2], name=name)
    notes: list[Finding] = []
    if sum(table.rows_read for _, _, table in parts) > max_rows:
        raise too_many_rows(name, max_rows)
    first = parts[0][2]
    parts = [parts[0], *((file, split, _named_alike(table, first)) for file, split, table in parts[1:])]
    for file, _, table in parts[1:]:
        missing = [column for column in first.columns if column not in table.columns]
        if len(missing) == len(first.columns):
            raise DataError(f"{parts[0][0]} and {file} cannot be joined.", why="They have no column of the same name.",
                            remedy="Give the same columns the same names in all files, or import one of "
                                   "the files alone.")
        if missing:
            notes.append(_lacking(file, missing, len(table)))
    counts = ", ".join(f"{file} ({table.rows_read:,} rows{f', {split}' if split else ''})"
                       for file, split, table in parts)
    notes.append(Finding(code="joined-files", severity=INFO, count=len(parts), example=counts[:200],
                         message=f"{len(parts)} {things} were joined into one table.",
                         remedy="Nothing to do if they belong together; otherwise import one of them alone."))
    joined = _concatenated(parts, name=name, findings=notes, things=things)
    if first.pictures is not None:
        joined = _with_pictures(joined, [table for _, _, table in parts], column=first.image_column)
    whole = [(file, split, table.documents) for file, split, table in parts if table.documents is not None]
    if len(whole) < len(parts):
        return joined
    return dataclasses.replace(joined, documents=_concatenated(whole, name=name, findings=notes, things=things))


def _with_pictures(joined: Table, tables: Sequence[Table], *, column: str) -> Table:
    """The joined table with the pictures of all its parts, each named after its part."""
    import pyarrow as pa

    from core.data.pictures.source import PictureSource

    places = {f"{part}/{name}": (table.pictures, name) for part, table in enumerate(tables, start=1)
              if table.pictures is not None for name in table.pictures.names}
    cells = [None if cell is None else f"{part}/{cell}" for part, table in enumerate(tables, start=1)
             for cell in (table.data.column(column).to_pylist() if column in table.columns else [None] * len(table))]

    def read(name: str) -> bytes:
        source, inside = places[name]
        return source.read(inside)

    at = joined.columns.index(column)
    data = joined.data.set_column(at, column, pa.chunked_array([pa.array(cells, type=pa.large_string())]))
    return dataclasses.replace(joined, data=data, pictures=PictureSource(list(places), read, keep=tables),
                               image_column=column)


def _named_alike(table: Table, first: Table) -> Table:
    """A table with columns spelled as in another where only letter case or outer blanks tell them apart."""
    spelled = {column.strip().casefold(): column for column in first.columns}
    names = [spelled.get(column.strip().casefold(), column) if column not in first.columns else column
             for column in table.columns]
    return table if len(set(names)) < len(names) else dataclasses.replace(table, data=table.data.rename_columns(names))


def _concatenated(parts: Sequence[tuple[str, str, Table]], *, name: str, findings: Sequence[Finding],
                  things: str) -> Table:
    import pyarrow as pa

    unusable = {column: why for _, _, table in parts for column, why in table.unusable.items()}
    names = list(dict.fromkeys(column for _, _, table in parts for column in table.columns))
    with_split = any(split for _, split, _ in parts)
    column = next(c for c in ("split", "split of the file", "split of the file (2)") if c not in names)
    pieces, numbers, left_out, start = [], [], [], 0
    for file, split, table in parts:
        cells = [table.data.column(c) if c in table.columns
                 else pa.chunked_array([pa.nulls(len(table), pa.large_string())]) for c in names]
        if with_split:
            cells.append(pa.chunked_array([pa.array([split] * len(table), type=pa.large_string())]))
        pieces.append(pa.table(cells, names=[*names, *([column] if with_split else [])]))
        numbers.append(table.row_numbers + start)
        left_out += [LeftOut(row=item.row + start, reason=item.reason, file=f"{file}, row {item.row}")
                     for item in table.left_out]
        start += table.rows_read
    found = [dataclasses.replace(finding, rows=(), message=f"{file}: {finding.message}")
             for file, _, table in parts for finding in table.findings]
    return Table(name=name, format=f"{len(parts)} {things}, the first as {parts[0][2].format}",
                 data=pa.concat_tables(pieces), row_numbers=np.concatenate(numbers), rows_read=start,
                 left_out=tuple(left_out), findings=(*findings, *found),
                 unusable=unusable, aside={column: why for _, _, table in parts for column, why in table.aside.items()},
                 read_seconds=sum(table.read_seconds for _, _, table in parts))


def _lacking(file: str, columns: Sequence[str], rows: int) -> Finding:
    return Finding(code="columns-missing", severity=WARNING, count=rows, example=file,
                   message=f"{file} lacks {several(len(columns), 'column', 'columns')} that the first file has: "
                           f"{', '.join(repr(c[:40]) for c in columns[:5])}.",
                   remedy="If one of them is the label, these rows cannot be used: the test rows of a "
                          "contest have none. The rows with labels are split instead.")
