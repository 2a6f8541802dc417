"""Whole classes are dropped with their rows."""

from __future__ import annotations

import numpy as np

from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    wanted = set(meant.classes) or set(state.label[meant.rows & state.kept].tolist())
    return state.drop(np.isin(state.label.astype(str), sorted(wanted)), "its class was dropped")


MEND = Mend(name="drop-classes", label="Drop these classes", answers=("rare-classes", "few-rows", "untrained-classes"),
            apply=_apply, explanation="All rows of these classes are dropped, in every split.")
