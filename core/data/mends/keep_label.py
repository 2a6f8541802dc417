"""Of equal rows with different labels, the most frequent label is right."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from core.data.mends.mend import Meant, Mend, State

REASON = "an equal row has another label, and more equal rows have that one"
TIE = "equal rows have different labels, each as often"


def _apply(state: State, meant: Meant) -> State:
    labels: dict[int, Counter[str]] = defaultdict(Counter)
    for at in np.flatnonzero(meant.rows & state.kept).tolist():
        labels[int(state.exact[at])][state.label[at]] += 1
    best = {group: _most(counts) for group, counts in labels.items() if len(counts) > 1}
    torn = np.isin(state.exact, list(best))
    right = np.asarray([best.get(group) for group in state.exact.tolist()], dtype=object)
    tied = torn & np.asarray([name is None for name in right], dtype=bool)
    return state.drop(meant.rows & tied, TIE).drop(meant.rows & torn & ~tied & (state.label != right), REASON)


def _most(counts: Counter[str]) -> str | None:
    """The most frequent; None where two are."""
    (first, most), (_, next_most) = counts.most_common(2)
    return first if most > next_most else None


MEND = Mend(name="keep-majority-label", label="Keep the most frequent label of each",
            answers=("contradicting-labels",), apply=_apply,
            explanation="Of equal rows, those with a rarer label are dropped; where no label is more frequent, "
                        "all of them are.")
