"""Validation and test rows with a twin that is looked at earlier are dropped."""

from __future__ import annotations

import numpy as np

from core.data.leaks import leaks
from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    """Of the rows that are meant, those that still have a kept twin on an earlier side."""
    at = np.flatnonzero(state.kept)
    leaking = np.zeros(len(state.kept), dtype=bool)
    leaking[at[leaks(state.split[at].astype(str), state.near[at])]] = True
    return state.drop(leaking & meant.rows, "a twin of it is on an earlier side of the split")


MEND = Mend(name="drop-leaks", label="Drop these rows", answers=("leakage", "near-leakage"), apply=_apply,
            explanation="Validation and test rows that repeat a row of an earlier side are dropped; that row stays.")
