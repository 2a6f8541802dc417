"""Predict first: guess which blocks changed, while the features are made or before they are looked at."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.analysis import FeatureComparison
from core.domain.side import Side
from pages._ui import shell


def _place(a: Side, b: Side) -> str:
    """Where the guess about two models is kept in the session."""
    return f"features_guess_{a.text}_{b.text}"


def made(a: Side, b: Side) -> tuple[str, ...] | None:
    """Names of the blocks that were guessed to have changed; None while there is no guess."""
    found: tuple[str, ...] | None = st.session_state.get(_place(a, b))
    return found


def ask(names: Sequence[str], a: Side, b: Side) -> None:
    """The form, or what was guessed."""
    place, known = _place(a, b), made(a, b)
    if known is not None:
        st.info(f"You guess that these blocks change: {', '.join(known) or 'none'}. The answer comes with the "
                "features.", icon=":material/psychology:")
        return
    with st.form(place + "_form"):
        st.markdown("**Before you look: which blocks did the training change?** Think of what was frozen, and of where "
                    "adapters sit.")
        guessed = st.pills("Blocks that changed", list(names), selection_mode="multi", key=f"{place}_pills")
        if st.form_submit_button("That is my guess", icon=":material/visibility:", type="primary",
                                 key="features_guess"):
            st.session_state[place] = tuple(str(name) for name in guessed)
            st.rerun()


def judged(compared: FeatureComparison, a: Side, b: Side) -> None:
    """The guess beside what is true, where there is one."""
    known = made(a, b)
    if known is None:
        return
    names = [block.name for block in compared.shift.blocks]
    truth = {block.name for block in compared.shift.blocks if block.state.value != "identical"}
    right = [name for name in names if (name in known) == (name in truth)]
    changed = ", ".join(name for name in names if name in truth) or "none"
    st.info(f"You were right about {len(right)} of {len(names)} blocks. Changed: {shell.escape(changed)}. "
            f"You guessed: {', '.join(known) or 'none'}.", icon=":material/psychology:")
