"""The shift set is taken off."""

from __future__ import annotations

from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    return state.drop(state.split == "shift", "the shift set was taken off")


MEND = Mend(name="take-off-shift", label="Take the shift set off", answers=(), apply=_apply,
            explanation="Runs are no longer judged on it; another one can be attached then.")
