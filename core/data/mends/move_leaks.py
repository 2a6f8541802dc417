"""Validation and test rows with a twin that is looked at earlier move to its side."""

from __future__ import annotations

import numpy as np

from core.data.leaks import fix_leaks
from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    at = np.flatnonzero(state.kept)
    split = state.split.copy()
    split[at] = fix_leaks(state.split[at].astype("<U10"), state.near[at])
    return state.move(np.where(meant.rows, split, state.split))


MEND = Mend(name="move-leaks", label="Move them to the side of their twin", answers=("leakage", "near-leakage"),
            apply=_apply, explanation="They stay in the data, in the split of the row that they repeat.")
