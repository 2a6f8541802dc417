"""The verdict card of a run: target, shift and forgetting, each better, worse, or not to be told; and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.domain.run import JobKind, Run
from pages._ui import shell
from pages._ui.words import word

if TYPE_CHECKING:
    from core.analysis.verdict import Verdict

_LOOK = {"better": ("green", ":material/trending_up:"), "worse": ("red", ":material/trending_down:"),
         "cannot tell": ("gray", ":material/help:")}
_SUBJECTS = {"target": "Its own task", "shift": "Shift set", "forgetting": "What else changed", "cost": "Cost"}
_HELP = {"target": "interval", "shift": "shift set", "forgetting": "forgetting"}


def card(ws: str, run: Run) -> None:
    """The card of a run that has a result; nothing for others."""
    with shell.guarded():
        found = _found(str(shell.api().settings.home), ws, run.id, _known(ws, run))
        if found is None:
            return
        st.header("Verdict", help="Better or worse is said only where the whole 95 % interval of the difference lies "
                                  "on one side of zero, and beyond what rounding or another seed changes (the noise "
                                  "floor).")
        with st.container(border=True, key="verdict"):
            st.markdown(f"**{shell.escape(found.headline)}**")
            for line in found.lines:
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    st.markdown(f"**{_SUBJECTS.get(line.subject, line.subject)}**", width=160,
                                help=word(_HELP[line.subject]) if line.subject in _HELP else None)
                    if line.word is not None:
                        badge(line.word)
                st.markdown(shell.escape(line.sentence))
                if line.to_do:
                    st.caption(f":material/lightbulb: {shell.escape(line.to_do)}")


def badge(word: str) -> None:
    """`better`, `worse` or `cannot tell`, in its colour."""
    colour, icon = _LOOK[word]
    st.badge(word, icon=icon, color=colour)  # type: ignore[arg-type]


def _known(ws: str, run: Run) -> tuple[tuple[str, float], ...]:
    """What the card depends on: this run and, in an experiment, the others, each as it ended."""
    every = shell.api().runs.all(ws, kind=JobKind.TRAIN) if run.experiment is not None else [run]
    return tuple(sorted((each.id, each.finished or 0.0) for each in every if each.experiment == run.experiment))


@st.cache_resource(max_entries=100, show_spinner="Weighing what was measured…")
def _found(home: str, ws: str, run: str, known: tuple[tuple[str, float], ...]) -> Verdict | None:
    """The card, made once, as its intervals take a second on many rows."""
    return shell.api().runs.verdict(ws, run)
