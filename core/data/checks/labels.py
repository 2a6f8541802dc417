"""Checks of the label column: too few or too many classes, numbers that are no classes, spelling, balance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.data import labels
from core.data.checks.context import Context
from core.data.report import ERROR, INFO, WARNING, Finding, several
from core.data.roles import is_number

MAX_CLASSES = 1_000
MIN_ROWS = 3
"""Rows a class needs to be in train, validation and test."""
_FEW_ROWS = 10
_IMBALANCE = 10.0


def classes(context: Context) -> Iterator[Finding]:
    """Errors that make a classification impossible."""
    n, names = len(context.rows), context.rows.classes
    counts = np.bincount(context.rows.label, minlength=len(names))
    if not n:
        yield Finding(code="no-rows", severity=ERROR, count=0, message="No row is left to learn from.",
                      remedy="Check that the right columns are chosen as text and label, and that their "
                             "cells are filled.")
    elif len(names) == 1:
        yield Finding(code="one-class", severity=ERROR, count=1,
                      message=f"All {n:,} rows have the same label, {names[0][:60]!r}.",
                      remedy="Choose another label column, or add rows of at least one other class.")
    elif _looks_continuous(names, n):
        yield Finding(code="continuous-label", severity=ERROR, count=len(names), example=", ".join(names[:5]),
                      message=f"The label column holds {len(names):,} different numbers in {n:,} rows: a "
                              "measurement, not classes.",
                      remedy="Put the numbers into a few named ranges (such as low, middle, high) in a new column, and "
                             "use that as label.")
    elif len(names) == n:
        yield Finding(code="one-row-per-class", severity=ERROR, count=n,
                      message=f"Every one of the {n:,} rows has a label of its own.",
                      remedy="Choose the column whose values repeat; this one looks like an id or a text.")
    elif len(names) > MAX_CLASSES:
        yield Finding(code="too-many-classes", severity=ERROR, count=len(names),
                      example=", ".join(name[:30] for name in names[:5]),
                      message=f"The label column has {len(names):,} classes, more than the limit of {MAX_CLASSES:,}.",
                      remedy="Choose another label column, or join rare classes into one called other.")
    elif int((counts >= MIN_ROWS).sum()) < 2:
        yield Finding(code="too-few-rows", severity=ERROR, count=int((counts < MIN_ROWS).sum()),
                      message=f"Fewer than two classes have {MIN_ROWS} rows, so nothing could be learned and tested.",
                      remedy=f"Add rows until at least two classes have {MIN_ROWS} or more, better 50.")


def _looks_continuous(names: tuple[str, ...], n_rows: int) -> bool:
    if len(names) <= 20 or not all(is_number(name) for name in names):
        return False
    fractions = sum("." in name or "," in name for name in names)
    return fractions > len(names) // 2 or len(names) > 0.3 * n_rows or len(names) > MAX_CLASSES


def rare(context: Context) -> Iterator[Finding]:
    """Classes that cannot be in every split, or only just."""
    counts = np.bincount(context.rows.label, minlength=len(context.rows.classes))
    too_few = [name for name, count in zip(context.rows.classes, counts, strict=True) if count < MIN_ROWS]
    few = [name for name, count in zip(context.rows.classes, counts, strict=True) if MIN_ROWS <= count < _FEW_ROWS]
    if too_few:
        rows = np.flatnonzero(counts[context.rows.label] < MIN_ROWS)
        yield Finding(code="rare-classes", severity=WARNING, count=len(too_few), rows=context.row_numbers(rows),
                      example=_listed(too_few), message=several(len(too_few), "class has", "classes have")
                              + f" fewer than {MIN_ROWS} rows: too few for train, validation and test.",
                      remedy="Add rows of these classes, join them with others, or leave them out.")
    if few:
        rows = np.flatnonzero(np.isin(context.rows.label, [context.rows.classes.index(name) for name in few]))
        yield Finding(code="few-rows", severity=INFO, count=len(few), example=_listed(few),
                      rows=context.row_numbers(rows),
                      message=several(len(few), "class has", "classes have")
                              + f" fewer than {_FEW_ROWS} rows; test scores there will be very uncertain.",
                      remedy="Add rows of these classes if you can.")


def balance(context: Context) -> Iterator[Finding]:
    """One class far larger than another."""
    from core.metrics import METRICS

    if len(context.rows.classes) < 2:
        return
    counts = np.bincount(context.rows.label, minlength=len(context.rows.classes))
    high, low = int(counts.argmax()), int(counts.argmin())
    ratio = counts[high] / max(1, counts[low])
    if ratio >= _IMBALANCE:
        names = context.rows.classes
        share = counts[high] / counts.sum()
        fair = next(metric for metric in METRICS if metric.classes_alike)
        remedy = f"Judge by {fair.label} rather than {METRICS[0].label}, and add rows of the small classes if you can."
        yield Finding(code="imbalance", severity=WARNING, count=len(names),
                      example=f"{names[high][:40]}: {counts[high]:,}, {names[low][:40]}: {counts[low]:,}",
                      message=f"The largest class has {ratio:.0f} times the rows of the smallest; guessing it is right "
                              f"in {share:.0%}.",
                      remedy=remedy)


def spelling(context: Context) -> Iterator[Finding]:
    """Labels that look the same."""
    groups = labels.same(context.rows.classes)
    if groups:
        counts = np.bincount(context.rows.label, minlength=len(context.rows.classes)).tolist()
        meant = labels.merged(dict(zip(context.rows.classes, counts, strict=True)))
        together = {name for names in groups for name in names}
        other = [i for i, name in enumerate(context.rows.classes) if name in together and meant[name] != name]
        rows = np.flatnonzero(np.isin(context.rows.label, other))
        yield Finding(code="label-spelling", severity=WARNING, count=len(groups), rows=context.row_numbers(rows),
                      suggested=tuple(meant[context.rows.classes[i]] for i in context.rows.label[rows].tolist()),
                      example="; ".join(" = ".join(labels.spelt(name, others=names) for name in names)
                                        for names in groups[:3]),
                      message=several(len(groups), "group of labels differs", "groups of labels differ")
                              + " only in case, spaces, invisible characters, Unicode form or the way a "
                                "number is written; each spelling counts as a class.",
                      remedy="Merge them into one class.")


def _listed(names: list[str]) -> str:
    return ", ".join(name[:40] for name in names[:5]) + (" …" if len(names) > 5 else "")
