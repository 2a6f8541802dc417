"""Picked rows get a label that a person chooses."""

from __future__ import annotations

import numpy as np

from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    return state.label_as(meant.rows, np.full(len(state.row_id), meant.name.strip(), dtype=object))


MEND = Mend(name="give-label", label="Give them a label", answers=(), apply=_apply, needs="class",
            explanation="The picked rows get the class that you choose.")
