"""Of rows that are equal (or nearly so), one stays: the first of the side that is looked at earliest."""

from __future__ import annotations

import numpy as np

from core.data.leaks import turns
from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    """The finding's rows say which groups are meant: of each, all kept rows but one are dropped."""
    at = np.flatnonzero(state.kept & (state.split != "shift"))
    groups = state.exact[at] if meant.finding != "near-duplicates" else state.near[at]
    by_side = np.lexsort((np.arange(len(at)), turns(state.split[at].astype(str)), groups))
    repeats = np.zeros(len(at), dtype=bool)
    repeats[by_side[1:]] = groups[by_side[1:]] == groups[by_side[:-1]]
    concerned = np.isin(groups, groups[meant.rows[at]])
    out = np.zeros(len(state.kept), dtype=bool)
    out[at[repeats & concerned]] = True
    return state.drop(out, "it repeats another row")


MEND = Mend(name="drop-repeats", label="Drop the repeats", answers=("exact-duplicates", "near-duplicates"),
            apply=_apply, explanation="Of equal rows one stays: the first of the side that is looked at earliest.")
