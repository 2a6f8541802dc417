"""The verdict card of an experiment: each comparison of its design, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages._ui import shell
from pages._ui.runs.verdict import badge
from pages._ui.words import word

if TYPE_CHECKING:
    from core.analysis.experiment_card import Beside
    from core.api import Question

SHOWN = 4
"""Comparisons at first; the others behind a press."""


def panel(question: Question) -> None:
    """Nothing for a design that holds nothing against anything, or has no two arms with results yet."""
    card = question.card
    if card is None or not card.beside:
        return
    st.header("Verdict", help="Better or worse is said only where the whole 95 % interval lies on one side of zero and "
                              "p, corrected for all comparisons of this card (Holm), is below 0.05: if nothing "
                              "differs, at most one experiment in twenty says that something does.")
    with st.container(border=True, key="experiment_verdict"):
        st.markdown(f"**{shell.escape(card.headline)}**")
        for beside in card.beside[:SHOWN]:
            _beside(beside)
        if rest := card.beside[SHOWN:]:
            with st.expander(f"{len(rest)} more comparison{'s' * (len(rest) > 1)}", icon=":material/balance:"):
                for beside in rest:
                    _beside(beside)
        st.caption("On the same rows, seed by seed. *Seeds alone* is the noise floor: how far apart two runs of one "
                   "arm lie.", help=word("noise floor"))


def _beside(beside: Beside) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{shell.escape(beside.title)}**", width="content")
        badge(beside.word)
    lines = []
    for line in beside.lines:
        said = f" ({line.word})" if line.word is not None and line.subject != "target" else ""
        lines.append(f"- **{line.title}**{said}: {shell.escape(line.sentence)}")
    st.markdown("\n".join(lines))
