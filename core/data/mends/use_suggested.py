"""Rows get the label that the check suggests."""

from __future__ import annotations

import numpy as np

from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    names = np.asarray([meant.suggested.get(row) or name
                        for row, name in zip(state.row_id.tolist(), state.label, strict=True)], dtype=object)
    return state.label_as(meant.rows, names)


MEND = Mend(name="use-suggested", label="Give the suggested label", answers=("label-noise",), apply=_apply,
            needs="rows",
            explanation="The picked rows get the class that they look like. Look first: the simple model errs, too.")
