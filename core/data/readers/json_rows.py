"""JSON Lines and JSON lists of objects."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.data import encodings
from core.data.readers.table import RowBuilder, Table
from core.errors import DataError

_BAD = object()


def read(path: Path, *, max_rows: int) -> Table:
    """Read a list of objects, or one object a line, whichever the file holds. Raises DataError when it is neither."""
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors) as file:
        start = file.read(4096).lstrip()
        file.seek(0)
        if not start:
            raise DataError(f"{path.name} is empty.", remedy="Choose a file with one JSON object a line, or a JSON list of objects.")
        whole = None if start.startswith("{") and _is_lines(file, one_is_enough=path.suffix.lower() != ".json") else _load(file.read())
        if whole is None:
            file.seek(0)
            return _collect(_lines(file), name=path.name, max_rows=max_rows, format=f"JSON Lines, {encoding.name}")
    if isinstance(whole, str):
        why = whole if start[0] in '{["' else f"It begins with {start.split(maxsplit=1)[0][:30]!r}, where JSON has [ or {{."
        raise DataError(f"{path.name} is not valid JSON.", why=why,
                        remedy="Give a table with commas the ending .csv; otherwise export it again as JSON Lines, one object such as "
                               '{"text": "…", "label": "…"} a line.')
    return _collect(_objects(path.name, whole), name=path.name, max_rows=max_rows, format=f"JSON list, {encoding.name}")


def _is_lines(file: Any, *, one_is_enough: bool) -> bool:
    """Whether the first line is an object by itself (and, for a `.json` file, not the only line)."""
    filled = (line for line in file if line.strip())
    first, second = next(filled, ""), next(filled, "")
    file.seek(0)
    return isinstance(_parse(first)[0], dict) and (one_is_enough or bool(second))


def _parse(text: str) -> tuple[Any, str]:
    """(value, "") or (_BAD, why)."""
    try:
        return json.loads(text), ""
    except RecursionError:
        return _BAD, "It is nested too deeply."
    except ValueError as error:
        return _BAD, f"{error}."


def _load(text: str) -> Any:
    value, why = _parse(text)
    return why if value is _BAD else value


def _lines(file: Iterable[str]) -> Iterator[tuple[Any, str]]:
    for line in file:
        if line.strip():
            value, why = _parse(line)
            yield value, f"it is not valid JSON: {why}" if why else ""


def _objects(name: str, whole: Any) -> Iterator[tuple[Any, str]]:
    if isinstance(whole, list):
        return ((item, "") for item in whole)
    why = f"It holds one {_kind(whole)}."
    if isinstance(whole, dict):
        lists = [key for key, value in whole.items() if isinstance(value, list)]
        why = "It holds one object" + (f" whose part {lists[0][:40]!r} is a list." if lists else ".")
    raise DataError(f"{name} is not a list of rows.", why=why,
                    remedy='Save only the list itself: [{"text": "…", "label": "…"}, …], or one object a line.')


def _collect(items: Iterable[tuple[Any, str]], *, name: str, max_rows: int, format: str) -> Table:
    builder = RowBuilder([], max_rows=max_rows, name=name)
    position: dict[str, int] = {}
    nested: set[str] = set()
    plain: set[str] = set()
    for item, problem in items:
        if problem or not isinstance(item, dict):
            builder.leave_out(problem or f"it is a {_kind(item)}, not an object with named values")
            continue
        cells: list[str | None] = [None] * len(position)
        for key, value in item.items():
            if key not in position:
                position[key] = builder.add_column(key)
                cells.append(None)
            if value is not None:
                (nested if isinstance(value, (dict, list)) else plain).add(key)
            cells[position[key]] = to_text(value)
        builder.add(cells)
    why = "it holds lists or objects, not plain values"
    return builder.table(format=format, unusable={key: why for key in position if key in nested - plain})


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


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "text", int: "number", float: "number", bool: "true/false value"}
    return names.get(type(value), "null value")
