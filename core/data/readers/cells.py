"""Tables whose cells hold conversations in a way of their own: marks in a text, lists of answers or of choices."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from core.data.readers import exchanges, json_rows, python_values
from core.data.readers.json_shapes import Item
from core.data.readers.table import Table
from core.data.roles import is_number

_SAMPLE = 50
_LISTS = frozenset({"answers", "choices", "options", "responses", "completions", "human_answers", "history",
                    "questions", "personality", "utterances", "chat", "conversation_a", "conversation_b", "input",
                    "preferred_output", "prompt", "mapping", "chat_messages", "instances"})
"""Columns whose cells may be lists or objects, which they are known by."""

_NUMBERS = frozenset({"answer", "answer_idx", "labels"})
"""Columns that may say by its number which of the choices is right, or which answer is the better."""
_RANK, _DELETED = "rank", "deleted"
"""What a message of a tree says of itself: a number, and yes or no."""


def conversations(table: Table, *, max_rows: int) -> Table:
    """A table of plain cells as `exchanges` reads the same rows from JSON; the same table where its rows are of no kind
    that is known there. Rows that were left out keep their numbers."""
    if not len(table) or not exchanges.may_be(table.columns):
        return table
    first = list(_objects(dataclasses.replace(table, data=table.data.slice(0, _SAMPLE))))
    if exchanges.reader_of(first) is None:
        return table
    found = json_rows.collect(_every(table), name=table.name, max_rows=max_rows, format=table.format)
    return dataclasses.replace(found, findings=(*table.findings, *found.findings))


def _every(table: Table) -> Iterator[Item]:
    """The rows as objects and why others were left out, in the order of the file."""
    left_out = {item.row: item.reason for item in table.left_out}
    rows, kept = _objects(table), set(table.row_numbers.tolist())
    for number in range(1, table.rows_read + 1):
        if number in kept:
            yield next(rows), ""
        else:
            yield None, left_out.get(number, "it could not be read")


def _objects(table: Table) -> Iterator[dict[str, Any]]:
    for batch in table.data.to_batches(1_000):
        for row in batch.to_pylist():
            yield {name: _value(name, cell) if cell else cell for name, cell in row.items()}


def _value(name: str, cell: str) -> Any:
    """The number, the yes or no, the list or the object of a cell; the cell where it is none."""
    if name == _DELETED:
        return {"true": True, "false": False}.get(cell.strip().lower(), cell)
    if name == _RANK and is_number(cell):
        return float(cell.replace(",", "."))
    if name in _NUMBERS and len(cell) < 3 and cell.isdecimal() and str(int(cell)) == cell:
        return int(cell)
    if name not in _LISTS or cell.lstrip()[:1] not in ("[", "{"):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        pass
    try:
        return python_values.value(cell)
    except python_values.BROKEN:
        return cell
