"""Checks for duplicates: exact, near, with contradicting labels, and across splits (leakage)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from core.data.checks.context import Context
from core.data.leaks import leaks, twins
from core.data.report import INFO, Finding


def exact(context: Context) -> Iterator[Finding]:
    """Texts that occur more than once."""
    repeats = _later_members(context.exact)
    yield from context.about(
        repeats, "exact-duplicates", ("row repeats", "rows repeat"),
        f"the {context.thing} of an earlier row.", severity=INFO, twins=twins(repeats, context.exact),
        remedy=f"Nothing to do: rows with equal {context.thing}s are kept in the same split.")


def near(context: Context) -> Iterator[Finding]:
    """Texts that are nearly the same as another."""
    repeats = np.setdiff1d(_later_members(context.near), _later_members(context.exact))
    yield from context.about(
        repeats, "near-duplicates", ("more row is", "more rows are"), "nearly the same as another row.", severity=INFO,
        twins=twins(repeats, context.near),
        remedy="Nothing to do: near duplicates are kept in the same split, unless they are a large part of the data.")


def contradictions(context: Context) -> Iterator[Finding]:
    """Equal texts with different labels."""
    order = np.lexsort((context.rows.label, context.exact))
    groups, labels = np.asarray(context.exact)[order], context.rows.label[order]
    switch = (groups[1:] == groups[:-1]) & (labels[1:] != labels[:-1])
    torn = np.unique(groups[1:][switch])
    rows = np.flatnonzero(np.isin(context.exact, torn))
    rows = rows[np.argsort(np.asarray(context.exact)[rows], kind="stable")]      # equal ones stand together
    yield from context.about(
        rows, "contradicting-labels", ("row has", "rows have"),
        f"the same {context.thing} as another row but a different label.",
        twins=twins(rows, context.exact, apart=context.rows.label),
        remedy="Decide which label is right and correct the others; no model can get all of them right.")


def leakage(context: Context) -> Iterator[Finding]:
    """The same text on both sides of a split."""
    exact_rows = leaks(context.split, context.exact)
    near_rows = np.setdiff1d(leaks(context.split, context.near), exact_rows)
    same = f"the same {context.thing}"
    for code, rows, words, groups in (("leakage", exact_rows, same, context.exact),
                                      ("near-leakage", near_rows, f"nearly {same}", context.near)):
        yield from context.about(
            rows, code, ("row has", "rows have"),
            f"{words} as a row on another side of the split: scores would be too high.",
            twins=twins(rows, groups, split=context.split),
            remedy="Drop these rows, or move them to the split of their twin.")


def _later_members(groups: Any) -> Any:
    """Positions of rows whose group has an earlier member."""
    _, first = np.unique(groups, return_index=True)
    mask = np.ones(len(groups), dtype=bool)
    mask[first] = False
    return np.flatnonzero(mask)
