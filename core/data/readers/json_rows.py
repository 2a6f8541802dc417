"""JSON Lines and JSON lists of objects."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from core.data import encodings
from core.data.readers import chat_exports
from core.data.readers.chat_json import in_turn, listed
from core.data.readers.exchanges import Rearranged, rearranged
from core.data.readers.exports import plain, unfolded
from core.data.readers.json_shapes import Item, from_lists, items_of, kind_of
from core.data.readers.nested import unnested
from core.data.readers.table import RowBuilder, Table
from core.data.roles import is_named
from core.domain.dataset import Role
from core.errors import DataError

_BAD = object()
_SAMPLE = 20


def read(path: Path, *, max_rows: int) -> Table:
    """Read a list of objects, one object a line, or what pandas and annotation tools write. Raises DataError."""
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors) as file:
        start = file.read(4096).lstrip("\ufeff").lstrip()
        file.seek(0)
        if not start:
            raise DataError(f"{path.name} is empty.", why="There is nothing in it, or blanks alone.",
                            remedy="Choose a file with one JSON object a line, or a JSON list of objects.")
        if kind := _kind_of_lines(file, suffix=path.suffix.lower()):
            lines = _lines(file)
            items: Iterable[Item] = lines if kind is dict else from_lists(lines)
            return collect(items, name=path.name, max_rows=max_rows, format=f"JSON Lines, {encoding.name}")
        whole = _load(file.read())
    if isinstance(whole, _Broken):
        why = (whole.why if start[0] in '{["'
               else f"It begins with {start.split(maxsplit=1)[0][:30]!r}, where JSON has [ or {{.")
        raise DataError(f"{path.name} is not valid JSON.", why=why,
                        remedy="Give a table with commas the ending .csv; otherwise export it again as JSON Lines, "
                               'one object such as {"text": "…", "label": "…"} a line.')
    if (chat := chat_exports.read(whole, name=path.name, max_rows=max_rows)) is not None:
        return chat
    items, what = items_of(whole, name=path.name)
    return collect(items, name=path.name, max_rows=max_rows, format=f"{what}, {encoding.name}")


def _kind_of_lines(file: Any, *, suffix: str) -> type | None:
    """dict or list where each line is such a value by itself; None where the file is one document.

    A `.json` file of a single line is a document; one broken line among the first does not make a JSON Lines file
    another kind.
    """
    lines = list(islice((line for line in file if line.strip()), _SAMPLE))
    file.seek(0)
    kinds = [type(_parse(line.lstrip("\ufeff"))[0]) for line in lines]
    if len(lines) == 1 and suffix == ".json":
        return None
    if suffix in (".jsonl", ".ndjson"):
        return next((kind for kind in (dict, list) if kinds.count(kind) > (0 if kind is dict else len(kinds) / 2)),
                    None)
    if kinds and kinds[0] is dict:
        return dict
    return list if len(kinds) > 1 and kinds[0] is kinds[1] is list else None


def _parse(text: str) -> tuple[Any, str]:
    """(value, "") or (_BAD, why)."""
    try:
        return json.loads(text), ""
    except RecursionError:
        return _BAD, "It is nested too deeply."
    except ValueError as error:
        return _BAD, f"{error}."


@dataclass(frozen=True)
class _Broken:
    """What is no JSON, and why."""

    why: str


def _load(text: str) -> Any:
    """The value of a document; a list of objects where they stand one behind the other; `_Broken` otherwise."""
    value, why = _parse(text.removeprefix("\ufeff"))
    if value is _BAD and why.startswith("Extra data"):
        value = _one_after_another(text.removeprefix("\ufeff"))
    return _Broken(why) if value is _BAD else value


def _one_after_another(text: str) -> Any:
    """The objects of a text that is nothing but objects, over as many lines as they like; _BAD otherwise."""
    decoder, found, at = json.JSONDecoder(), [], 0
    text = text.strip()
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return _BAD
        if not isinstance(value, dict):
            return _BAD
        found.append(value)
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
    return found


def _lines(file: Iterable[str]) -> Iterator[tuple[Any, str]]:
    for line in file:
        if line.strip():
            value, why = _parse(line.lstrip("\ufeff"))
            yield value, f"it is not valid JSON: {why}" if why else ""


def collect(items: Iterable[Item], *, name: str, max_rows: int, format: str) -> Table:
    """A table of objects, a column a key. Raises DataError where there is no object with values."""
    items, tool = unfolded(items, name=name)
    found = Rearranged(items) if tool else rearranged(items)
    items = found.items if tool else unnested(found.items)
    builder = RowBuilder([], max_rows=max_rows, name=name)
    position: dict[str, int] = {}
    filled: Counter[str] = Counter()
    several: Counter[str] = Counter()
    labels: set[int] = set()
    for item, problem in items:
        if problem or not isinstance(item, dict) or not item:
            what = "an empty object" if item == {} else f"a {kind_of(item)}, not an object with named values"
            builder.leave_out(problem or f"it is {what}")
            continue
        cells: list[str | None] = [None] * len(position)
        for key, value in item.items():
            if key not in position:
                position[key] = builder.add_column(key)
                cells.append(None)
                if is_named(key, Role.LABEL):
                    labels.add(position[key])
            value = in_turn(key, value)
            if listed(value) is not None:                            # a conversation is one value
                filled[key] += 1
                cells[position[key]] = to_text(value)
                continue
            value, more = plain(value, unwrap=position[key] in labels)
            filled[key] += value is not None
            several[key] += more
            cells[position[key]] = to_text(value)
        builder.add(cells)
    if builder.rows_read and not position:
        raise DataError(f"{name} holds no rows with named values.",
                        why=f"Its first row was left out: {builder.left_out[0].reason}.",
                        remedy='Save it as a list of objects, [{"text": "…", "label": "…"}, …], or one object a line.')
    why = "it holds lists or objects, not plain values"
    shown = f"{format.partition(',')[0]} of {tool},{format.partition(',')[2]}" if tool else format
    return builder.table(format=shown, findings=found.findings,
                         unusable={key: why for key in position if several[key] > filled[key] / 2})


def to_text(value: Any) -> str | None:
    """A JSON value as the text of a cell; null and NaN become None, 3.0 becomes `3`."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
