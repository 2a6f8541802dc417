"""Spellings of one label become one class."""

from __future__ import annotations

from core.data import labels
from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    return state.renamed(labels.merged(state.counts()))


MEND = Mend(name="merge-labels", label="Merge the spellings", answers=("label-spelling",), apply=_apply,
            explanation="Labels that look the same become one class, written as most rows write it.")
