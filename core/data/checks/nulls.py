"""Classes named like a missing value."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.data import missing
from core.data.checks.context import Context
from core.data.report import Finding


def answers(context: Context) -> Iterator[Finding]:
    """Words such as NA that were read as a class, since no label is empty and they are as frequent as other classes."""
    named = [index for index, name in enumerate(context.rows.classes) if name.strip().lower() in missing.ANSWERS]
    yield from context.about(
        np.flatnonzero(np.isin(context.rows.label, named)), "null-word-class", ("row has", "rows have"),
        "a label that often means no value; it was read as a class.",
        example=", ".join(repr(context.rows.classes[index]) for index in named),
        remedy="Nothing to do if it is an answer like the others; otherwise empty these cells and import the file "
               "again.")
