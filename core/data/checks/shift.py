"""What matters of a shift set: how many rows it has, classes without one, and rows that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from core.data.leaks import twins
from core.data.report import INFO, WARNING, Finding, several
from core.domain.dataset import Split

FEW_ROWS = 50
"""Below, an interval of an accuracy is wider than a quarter."""
CODES = ("shift-set", "shift-few-rows", "shift-missing-classes", "shift-leakage", "shift-near-leakage",
         "shift-prompt-leakage")
_SHOWN = 8


def leaking(split: Any, exact: Any, near: Any, prompts: Any = None) -> tuple[Any, Any, Any]:
    """(positions of shift rows with the content of a training row; of those with nearly that and no exact twin; of
    those with its prompt alone).

    prompts: group numbers of the prompts of conversations.
    """
    shift, train = np.asarray(split) == Split.SHIFT.value, np.asarray(split) == Split.TRAIN.value
    same = shift & np.isin(exact, np.asarray(exact)[train])
    nearly = shift & ~same & np.isin(near, np.asarray(near)[train])
    asked = np.zeros(0, dtype=np.int64) if prompts is None else np.flatnonzero(
        shift & ~same & ~nearly & np.isin(prompts, np.asarray(prompts)[train]))
    return np.flatnonzero(same), np.flatnonzero(nearly), asked


def findings(*, row_id: Any, split: Any, exact: Any, near: Any, counts: Mapping[str, int],
             name: str = "", prompts: Any = None) -> Iterator[Finding]:
    """All findings about the shift rows among these; none where there is no such row.

    counts: class -> shift rows, of every class of the dataset. name: of the set that they came from. prompts: groups of
    the prompts, of conversations.
    """
    total = sum(counts.values())
    if not total:
        return
    of = f" of {name}" if name else ""
    yield Finding(code="shift-set", severity=INFO, count=total,
                  message=f"Shift set: {several(total, 'row', 'rows')}{of}.",
                  remedy="Every run is judged on them, none is trained on them.")
    if total < FEW_ROWS:
        yield Finding(code="shift-few-rows", severity=WARNING, count=total,
                      message=f"The shift set has {several(total, 'row', 'rows')}: intervals there will be wide.",
                      remedy=f"Take at least {FEW_ROWS} rows if you can, better several hundred.")
    if missing := [label for label, rows in counts.items() if label and not rows]:
        shown = ", ".join(label[:40] for label in missing[:_SHOWN]) + (" …" if len(missing) > _SHOWN else "")
        yield Finding(code="shift-missing-classes", severity=WARNING, count=len(missing), example=shown,
                      message=f"{several(len(missing), 'class has', 'classes have')} no row in the shift set: scores "
                              "there are about the other classes only.",
                      remedy="Add rows of these classes, or read shift scores with this in mind.")
    same, nearly, asked = leaking(split, exact, near, prompts)
    train_first = np.where(np.asarray(split) == Split.TRAIN.value, Split.TRAIN.value, Split.SHIFT.value)
    for code, rows, words, groups in (("shift-leakage", same, "the content", exact),
                                      ("shift-near-leakage", nearly, "nearly the content", near),
                                      ("shift-prompt-leakage", asked, "the prompt", prompts)):
        if len(rows):
            yield Finding(code=code, severity=WARNING, count=len(rows), rows=_ids(row_id, rows),
                          twins=_ids(row_id, twins(rows, groups, split=train_first)),
                          message=f"{several(len(rows), 'shift row has', 'shift rows have')} {words} of a training "
                                  "row: scores there would be too high.",
                          remedy="Drop these rows from the shift set.")


def _ids(row_id: Any, positions: Sequence[int] | Any) -> tuple[int, ...]:
    return tuple(np.asarray(row_id)[positions].tolist())
