"""Checks of the splits: classes that nothing trains on, and splits without a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from core.data.checks.context import Context
from core.data.report import WARNING, Finding, several
from core.domain.dataset import Split

_SHOWN = 5


def coverage(context: Context) -> Iterator[Finding]:
    """What the splits of these rows leave out."""
    names, labels, split = context.rows.classes, context.rows.label, np.asarray(context.split)
    if context.rows.shape is not None:                               # rows without labels
        yield from cautions({part: {"": int((split == part).sum())} for part in np.unique(split).tolist()})
        return
    counts = {part: dict(zip(names, np.bincount(labels[split == part], minlength=len(names)).tolist(), strict=True))
              for part in np.unique(split).tolist()}
    untrained = np.flatnonzero(~np.isin(labels, labels[split == Split.TRAIN.value]))
    for finding in cautions(counts):
        yield (dataclasses.replace(finding, rows=context.row_numbers(untrained))
               if finding.code == "untrained-classes" else finding)


def cautions(counts: Mapping[str, Mapping[str, int]]) -> Iterator[Finding]:
    """What to know before training on these rows. counts: split -> class -> rows, as a `Dataset` has them."""
    if not any(sum(rows.values()) for rows in counts.values()):
        return
    train = counts.get(Split.TRAIN.value, {})
    judged: dict[str, int] = {}
    for split, rows in counts.items():
        for name, count in rows.items():
            if name and split != Split.TRAIN and count and not train.get(name):
                judged[name] = judged.get(name, 0) + count
    if judged:
        shown = ", ".join(f"{name[:40]} ({several(count, 'row', 'rows')})"
                          for name, count in list(judged.items())[:_SHOWN])
        yield Finding(code="untrained-classes", severity=WARNING, count=len(judged),
                      message=several(len(judged), "class has", "classes have") + f" no training row: {shown}"
                              + (" …" if len(judged) > _SHOWN else "") + ". No model can get these rows right.",
                      remedy="Give them rows in the training split, leave them out, or let Thaw split the rows (give "
                             "the split column another role).")
    for split, loss in ((Split.VALIDATION, "nothing can choose the best step of a run, so the last one is kept"),
                        (Split.TEST, "no run will have a test score")):
        if not sum(counts.get(split.value, {}).values()):
            yield Finding(code=f"no-{split}-rows", severity=WARNING, count=1,
                          message=f"There is no {split} row: {loss}.",
                          remedy="Add rows of other kinds, or a column that says train, validation or test: rows that "
                                 "are equal or nearly equal stay in one split, and here they leave no "
                                 "room for another.")
