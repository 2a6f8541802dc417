"""Checks for duplicates: exact, near, with contradicting labels, and across splits (leakage)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.data.checks.context import Context
from core.data.groups import leaks
from core.data.report import INFO, WARNING, Finding, several


def exact(context: Context) -> Iterator[Finding]:
    """Texts that occur more than once."""
    repeats = _later_members(context.exact)
    if len(repeats):
        yield Finding(code="exact-duplicates", severity=INFO, count=len(repeats), rows=context.row_numbers(repeats),
                      example=context.quote(int(repeats[0])),
                      message=several(len(repeats), "row repeats", "rows repeat")
                              + f" the {context.thing} of an earlier row.",
                      remedy=f"Nothing to do: rows with equal {context.thing}s are kept in the same split.")


def near(context: Context) -> Iterator[Finding]:
    """Texts that are nearly the same as another."""
    import numpy as np

    repeats = np.setdiff1d(_later_members(context.near), _later_members(context.exact))
    if len(repeats):
        yield Finding(code="near-duplicates", severity=INFO, count=len(repeats), rows=context.row_numbers(repeats),
                      example=context.quote(int(repeats[0])),
                      message=several(len(repeats), "more row is", "more rows are")
                              + " nearly the same as another row.",
                      remedy="Nothing to do: near duplicates are kept in the same split, unless they are a large "
                             "part of the data.")


def contradictions(context: Context) -> Iterator[Finding]:
    """Equal texts with different labels."""
    import numpy as np

    order = np.lexsort((context.rows.label, context.exact))
    groups, labels = np.asarray(context.exact)[order], context.rows.label[order]
    switch = (groups[1:] == groups[:-1]) & (labels[1:] != labels[:-1])
    if switch.any():
        torn = np.unique(groups[1:][switch])
        rows = np.flatnonzero(np.isin(context.exact, torn))
        yield Finding(code="contradicting-labels", severity=WARNING, count=len(rows), rows=context.row_numbers(rows),
                      example=context.quote(int(rows[0])),
                      message=several(len(rows), "row has", "rows have")
                              + f" the same {context.thing} as another row but a different label.",
                      remedy="Decide which label is right and correct the others; no model can get all of them right.")


def leakage(context: Context) -> Iterator[Finding]:
    """The same text on both sides of a split."""
    import numpy as np

    exact_rows = leaks(context.split, context.exact)
    near_rows = np.setdiff1d(leaks(context.split, context.near), exact_rows)
    same = f"the same {context.thing}"
    for code, rows, words in (("leakage", exact_rows, same), ("near-leakage", near_rows, f"nearly {same}")):
        if len(rows):
            yield Finding(code=code, severity=WARNING, count=len(rows), rows=context.row_numbers(rows),
                          example=context.quote(int(rows[0])), message=several(len(rows), "row has", "rows have")
                                  + f" {words} as a row on another side of the split: scores would be too high.",
                          remedy="Fix the leaks (a button on the page, --fix-leaks on the command line): these rows "
                                 "move to the split of their twin.")


def _later_members(groups: Any) -> Any:
    """Positions of rows whose group has an earlier member."""
    import numpy as np

    _, first = np.unique(groups, return_index=True)
    mask = np.ones(len(groups), dtype=bool)
    mask[first] = False
    return np.flatnonzero(mask)
