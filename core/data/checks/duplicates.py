"""Checks for duplicates: exact, near, with contradicting labels, and across splits (leakage)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from core.data.checks.context import Context
from core.data.leaks import leaks
from core.data.report import INFO, Finding


def exact(context: Context) -> Iterator[Finding]:
    """Texts that occur more than once."""
    yield from context.about(
        _later_members(context.exact), "exact-duplicates", ("row repeats", "rows repeat"),
        f"the {context.thing} of an earlier row.", severity=INFO,
        remedy=f"Nothing to do: rows with equal {context.thing}s are kept in the same split.")


def near(context: Context) -> Iterator[Finding]:
    """Texts that are nearly the same as another."""
    repeats = np.setdiff1d(_later_members(context.near), _later_members(context.exact))
    yield from context.about(
        repeats, "near-duplicates", ("more row is", "more rows are"), "nearly the same as another row.", severity=INFO,
        remedy="Nothing to do: near duplicates are kept in the same split, unless they are a large part of the data.")


def contradictions(context: Context) -> Iterator[Finding]:
    """Equal texts with different labels."""
    order = np.lexsort((context.rows.label, context.exact))
    groups, labels = np.asarray(context.exact)[order], context.rows.label[order]
    switch = (groups[1:] == groups[:-1]) & (labels[1:] != labels[:-1])
    torn = np.unique(groups[1:][switch])
    yield from context.about(
        np.flatnonzero(np.isin(context.exact, torn)), "contradicting-labels", ("row has", "rows have"),
        f"the same {context.thing} as another row but a different label.",
        remedy="Decide which label is right and correct the others; no model can get all of them right.")


def leakage(context: Context) -> Iterator[Finding]:
    """The same text on both sides of a split."""
    exact_rows = leaks(context.split, context.exact)
    near_rows = np.setdiff1d(leaks(context.split, context.near), exact_rows)
    same = f"the same {context.thing}"
    for code, rows, words in (("leakage", exact_rows, same), ("near-leakage", near_rows, f"nearly {same}")):
        yield from context.about(
            rows, code, ("row has", "rows have"),
            f"{words} as a row on another side of the split: scores would be too high.",
            remedy="Fix the leaks (a button on the page, --fix-leaks on the command line): these rows move to the "
                   "split of their twin.")


def _later_members(groups: Any) -> Any:
    """Positions of rows whose group has an earlier member."""
    _, first = np.unique(groups, return_index=True)
    mask = np.ones(len(groups), dtype=bool)
    mask[first] = False
    return np.flatnonzero(mask)
