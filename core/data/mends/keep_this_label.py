"""The label of the picked rows is right for all rows that are equal to them."""

from __future__ import annotations

import numpy as np

from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    right = {int(state.exact[at]): state.label[at] for at in np.flatnonzero(meant.rows & state.kept).tolist()}
    names = np.asarray([right.get(group, name) for group, name in zip(state.exact.tolist(), state.label, strict=True)],
                       dtype=object)
    return state.label_as(np.isin(state.exact, list(right)), names)


MEND = Mend(name="keep-this-label", label="Keep this label", answers=("contradicting-labels",), apply=_apply,
            needs="rows", explanation="All rows that are equal to a picked row get its label.")
