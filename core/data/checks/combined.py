"""Several labels in one cell: lists as JSON or Python write them, or names with a separator."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from core.data.checks.context import Context
from core.data.checks.labels import MAX_CLASSES
from core.data.labels import key
from core.data.report import Finding

SEPARATORS = "|;,/+&\t\n"
_NAMES = ("choices", "labels", "label", "classes", "taxonomy")
"""Where annotation tools keep the labels of a row in a JSON object."""


def several_labels(context: Context) -> Iterator[Finding]:
    """Cells that hold more than one label."""
    names = context.rows.classes
    if len(names) > MAX_CLASSES:                                     # texts or ids, which is said elsewhere
        return
    found = combinations(names)
    rows = np.flatnonzero(np.isin(context.rows.label, [names.index(name) for name in found]))
    yield from context.about(
        rows, "several-labels", ("row has", "rows have"),
        "several labels in one cell; each combination counts as a class of its own.",
        example="; ".join(f"{name[:60]!r} ({' and '.join(part[:20] for part in parts[:3])})"
                          for name, parts in list(found.items())[:2]),
        remedy="Thaw learns one class a row: keep the most important label of each row, or make a yes-or-no column "
               "for every label and train on one of them at a time.")


def combinations(names: tuple[str, ...]) -> dict[str, list[str]]:
    """Class names that hold several labels -> these labels.

    A list counts as it is. With a separator, every part must occur elsewhere, alone or in another combination: `Paris,
    France` and `Lyon, France` are single labels; `a|b` beside `a` and `b|c` is none.
    """
    found = {name: parts for name in names if len(parts := _listed(name)) > 1}
    for separator in SEPARATORS:
        parted = {name: parts for name in names if name not in found and len(parts := _parts(name, separator)) > 1}
        alone = {key(name) for name in names if name not in parted}
        shared = Counter(part for parts in parted.values() for part in {key(p) for p in parts})
        numbers = all(re.fullmatch(r"[\d.\s-]+", part) for parts in parted.values() for part in parts)
        if numbers and all(len(parts) < 3 for parts in parted.values()):
            continue                                                 # decimal commas, fractions, dates
        found |= {name: parts for name, parts in parted.items()
                  if all(key(part) in alone or shared[key(part)] > 1 for part in parts)}
    return found


def _parts(name: str, separator: str) -> list[str]:
    return [part.strip() for part in name.split(separator) if part.strip()]


def _listed(name: str) -> list[str]:
    """The labels of a cell that is a list or object of JSON, or a list, tuple or set of Python; else none."""
    text = name.strip()
    if not text.startswith(("[", "{", "(")) or len(text) > 10_000:
        return []
    try:
        return list(dict.fromkeys(_strings(json.loads(text))))
    except (ValueError, RecursionError):
        pass
    try:
        return list(dict.fromkeys(_strings(ast.literal_eval(text))))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        words = re.fullmatch(r"[\[{(]\s*([\w.+-]+(?:[\s,;]+[\w.+-]+)+)\s*[\]})]", text)
        return re.split(r"[\s,;]+", words[1]) if words and "," in words[1] else []


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        wanted = [value[name] for name in _NAMES if name in value]
        for item in wanted or value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, (str, int)):
        yield str(value)
