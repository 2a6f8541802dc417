"""Classes chosen by hand become one."""

from __future__ import annotations

from core.data.mends.mend import Meant, Mend, State


def _apply(state: State, meant: Meant) -> State:
    name = meant.name.strip() or (meant.classes[0] if meant.classes else "")
    return state.renamed(dict.fromkeys(meant.classes, name))


MEND = Mend(name="join-classes", label="Merge classes", answers=(), apply=_apply, needs="classes",
            explanation="The chosen classes become one, called as you say.")
