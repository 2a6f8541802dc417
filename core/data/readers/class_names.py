"""Names of numbered classes in a file beside the rows: `classes.txt`, a name a line (AG News, DBpedia; Zhang et al.
2015), `mapping.txt`, a number and a name a line (TweetEval), or a JSON object of these."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from core.data.archive import UNREADABLE
from core.data.readers import folders
from core.data.readers.table import Table, text_array
from core.data.report import INFO, Finding
from core.data.source import Source

_NAMED = re.compile(r"(.*[^a-z])?(mapping|classes|class[_-]names|label[_-]names|labels)\.(txt|names)"
                    r"|batches\.meta\.txt|.*(label|class|cat|disease).*\.json", re.IGNORECASE)
_MOST = 1_000
_LONGEST = 80
"""Characters of a name."""


def named(table: Table, source: Source) -> Table:
    """The table with the names that such a file gives to the numbers of one of its columns: all of them, and it names
    no other. Unchanged where no file fits, or several columns do."""
    import pyarrow.compute as pc

    for file in source.files:
        if not _NAMED.fullmatch(file.rpartition("/")[2]):
            continue
        choices = [names for names in _names(source, file) if len(set(names.values())) == len(names) > 1]
        fitting = [(column, names) for names in choices for column in table.columns
                   if column != table.image_column and table.data.column(column)[0].as_py() in names
                   and set(pc.unique(table.data.column(column)).to_pylist()) == names.keys()]
        if len(fitting) == 1:
            return _with_names(table, *fitting[0], file=file)
    return table


def _names(source: Source, file: str) -> Iterator[Mapping[str, str]]:
    """Number -> name, as the file says it, or counted from 0 and from 1."""
    try:
        data = source.read(file)
    except UNREADABLE:
        return
    if file.lower().endswith(".json"):
        yield from _of_json(data)
        return
    lines = [line.strip() for line in folders.decode(data).removeprefix("\ufeff").strip().split("\n")]
    if not 1 < len(lines) <= _MOST or not all(lines) or max(map(len, lines)) > _LONGEST:
        return
    pairs = [line.replace("\t", " ", 1).partition(" ") for line in lines]
    if all(number.isdecimal() and name.strip() for number, _, name in pairs):
        yield _of_emnist(pairs) if "emnist" in file.lower() else {number: name.strip() for number, _, name in pairs}
        return
    if not any(line.isdecimal() for line in lines):
        yield from ({str(first + place): name for place, name in enumerate(lines)} for first in (0, 1))


def _of_emnist(pairs: list[tuple[str, str, str]]) -> Mapping[str, str]:
    """Characters for their codes (`1 65 97`: the first of them); none where small letters are classes beside large
    ones, which labels do not tell apart."""
    codes = [(number, int(code)) for number, _, names in pairs for code in names.split()[:1] if code.isdecimal()]
    found = {number: chr(code) for number, code in codes if 32 < code < 127}
    return found if len({name.casefold() for name in found.values()}) == len(pairs) else {}


def _of_json(data: bytes) -> Iterator[Mapping[str, str]]:
    """`{"0": "Blight", …}` (Cassava's `label_num_to_disease_map.json`), or the other way round, `{"Forest": 0, …}`."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(found, dict) or not 1 < len(found) <= _MOST:
        return
    if all(key.isdecimal() and isinstance(name, str) and 0 < len(name) <= _LONGEST for key, name in found.items()):
        yield found
    elif all(isinstance(number, int) and 0 < len(name) <= _LONGEST for name, number in found.items()):
        yield {str(number): name for name, number in found.items()}


def _with_names(table: Table, column: str, names: Mapping[str, str], *, file: str) -> Table:
    import pyarrow as pa

    cells = text_array([names[number] for number in table.data.column(column).to_pylist()])
    at = table.data.column_names.index(column)
    note = Finding(code="names-of-classes", severity=INFO, count=len(names), example=", ".join(names.values())[:120],
                   message=f"The numbers of {column!r} were given the names in {file.rpartition('/')[2][:60]}.",
                   remedy="Nothing to do if they are right; otherwise take that file out and import the rows alone.")
    return replace(table, data=table.data.set_column(at, column, pa.chunked_array([cells])),
                   findings=(*table.findings, note))
