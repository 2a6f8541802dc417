"""Classes named like a missing value."""

from __future__ import annotations

from collections.abc import Iterator

from core.data import missing
from core.data.checks.context import Context
from core.data.report import WARNING, Finding, several


def answers(context: Context) -> Iterator[Finding]:
    """Words such as NA that were read as a class, since no label is empty and they are as frequent as other classes."""
    import numpy as np

    named = [index for index, name in enumerate(context.rows.classes) if name.strip().lower() in missing.ANSWERS]
    if named:
        rows = np.flatnonzero(np.isin(context.rows.label, named))
        yield Finding(code="null-word-class", severity=WARNING, count=len(rows), rows=context.row_numbers(rows),
                      example=", ".join(repr(context.rows.classes[index]) for index in named),
                      message=several(len(rows), "row has", "rows have")
                              + " a label that often means no value; it was read as a class.",
                      remedy="Nothing to do if it is an answer like the others; otherwise empty these cells and import "
                             "the file again.")
