"""Checks for shortcuts: a column, or the beginning of the text, that gives the label away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from core.data import labels
from core.data.checks.context import Context
from core.data.report import INFO, WARNING, Finding, several
from core.domain.dataset import Role

_PURE = 0.98
"""Share of rows whose label follows from the column's value."""


def column(context: Context) -> Iterator[Finding]:
    """Other columns from whose values the label follows."""
    if len(context.rows) < 10 or len(context.rows.classes) < 2:
        return
    for name, values in (context.rows.others or {}).items():
        if context.roles.get(name) == Role.SPLIT:
            continue
        share = gives_away(values, context.rows.label)
        if share is None:
            continue
        distinct = len(values.dictionary_encode().dictionary)
        in_text = context.roles.get(name) in (Role.TEXT, Role.SECOND_TEXT)
        renamed = distinct == len(context.rows.classes)
        yield Finding(code="giveaway-column", severity=WARNING if in_text else INFO, count=1, example=name[:60],
                      message=f"The column {name[:60]!r} gives the label away: its value tells the class of "
                              f"{share:.0%} of the rows"
                              + (" (it looks like the label under another name)." if renamed else "."),
                      remedy="Keep it out of the text, or the model will learn only this shortcut."
                             + ("" if in_text else " It is not used as text now."))


def gives_away(values: Any, labels: Any) -> float | None:
    """The share of rows whose label follows from their value, where that is nearly all and more than guessing; None
    otherwise."""
    share, covered = _predicts(values, labels)
    base = float(np.bincount(labels).max() / len(labels))
    return None if covered < 0.5 or share < _PURE or share <= base + 0.05 else share


def _predicts(values: Any, labels: Any) -> tuple[float, float]:
    """(share of rows in repeated values that have their value's main label, share of rows in repeated values)."""
    encoded = values.fill_null("").dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    distinct = len(encoded.dictionary)
    sizes = np.bincount(codes, minlength=distinct)
    n_classes = int(labels.max()) + 1
    pairs, counts = np.unique(codes * n_classes + labels, return_counts=True)
    main = np.zeros(distinct, dtype=np.int64)
    np.maximum.at(main, pairs // n_classes, counts)
    repeated = sizes >= 2
    rows = int(sizes[repeated].sum())
    return float(main[repeated].sum() / max(1, rows)), rows / max(1, len(codes))


def text_start(context: Context) -> Iterator[Finding]:
    """Texts that begin with their own label."""
    if len(context.rows) < 10:
        return
    keys = [labels.clean(name).casefold() for name in context.rows.classes]
    starts = [len(key) > 1 and " ".join(text[: len(key) * 2 + 4].split()).casefold().lstrip("[(_#\"'").startswith(key)
              for text, key in zip(context.texts, (keys[i] for i in context.rows.label), strict=True)]
    rows = np.flatnonzero(starts)
    if len(rows) > 0.5 * len(context.rows):
        yield Finding(code="label-in-text", severity=WARNING, count=len(rows), rows=context.row_numbers(rows),
                      example=context.quote(int(rows[0])),
                      message=several(len(rows), "text begins with its own label.",
                                      "texts begin with their own label."),
                      remedy="Take the label out of the text, or the model will learn only this shortcut.")
