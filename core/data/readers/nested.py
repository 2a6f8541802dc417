"""Objects inside the objects of a JSON file become columns of their own: `{"doc": {"body": …}}` is `doc.body`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from core.data.readers.chat_json import listed
from core.data.readers.json_shapes import Item

_SAMPLE = 200
_MOST = 32
"""Values inside one object that become columns; more are a dictionary, not a row."""
_DEEPEST = 3


def unnested(items: Iterable[Item]) -> Iterator[Item]:
    """The items with the values of inner objects beside the others, named after both, as `pandas.json_normalize` does.

    An object counts as a row's own part where its keys are few and come again in the first rows; conversations and
    answers of annotation tools stay whole.
    """
    source = iter(items)
    ahead = list(islice(source, _SAMPLE))
    parts = _parts([item for item, problem in ahead if not problem and isinstance(item, dict)], deepest=_DEEPEST)
    every = chain(ahead, source)
    if not parts:
        return every
    return ((_flat(item, parts) if isinstance(item, dict) and not problem else item, problem)
            for item, problem in every)


Parts = Mapping[str, "Parts"]


def _parts(rows: list[dict[str, Any]], *, deepest: int) -> Parts:
    """key -> its own such parts, of the keys that hold objects to be taken apart."""
    found: dict[str, Parts] = {}
    for key in dict.fromkeys(key for row in rows for key in row) if deepest else ():
        inner = [row[key] for row in rows if row.get(key) is not None]
        if not inner or not all(isinstance(value, dict) and value and listed(value) is None for value in inner):
            continue
        keys = {name for value in inner for name in value}
        if "choices" not in keys and len(keys) <= _MOST and sum(map(len, inner)) >= 0.5 * len(keys) * len(inner):
            found[key] = _parts(inner, deepest=deepest - 1)
    return found


def _flat(row: Mapping[str, Any], parts: Parts) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key in parts and isinstance(value, dict):
            inner = {f"{key}.{name}": cell for name, cell in _flat(value, parts[key]).items()}
            flat |= {name: cell for name, cell in inner.items() if name not in row}
        elif key not in parts or value is not None:
            flat[key] = value
    return flat
