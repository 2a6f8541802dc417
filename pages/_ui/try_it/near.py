"""The training rows nearest to an input as one model sees them, and whether the input is unlike all of them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.domain.nearest import Nearest
from pages._ui import shell

PIXELS = 72


def draw(found: Nearest) -> None:
    """Below the answer of a model."""
    _rule(found)
    with st.expander("Nearest training rows", icon=":material/near_me:"):
        for row in found.rows:
            label = f"**{shell.escape(row.label)}** · " if row.label else ""
            said = f"{label}distance {row.distance:.3f}"
            if row.picture and Path(row.content).is_file():
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.image(row.content, width=PIXELS)
                    st.caption(said)
            else:
                st.caption(f"{said}  \n{shell.escape(' '.join(row.content.split()))}")
        part = (f" Compared were {found.compared:,} of the {found.trained_on:,} training rows, drawn at random."
                if found.compared < found.trained_on else "")
        st.caption(f"Cosine distance in what the head of this model sees; 0 is the same direction.{part}")


def _rule(found: Nearest) -> None:
    if found.limit is None:
        st.caption(":material/help: Too few validation rows to say whether this input is unlike the training data.")
        return
    if found.unlike:
        st.badge("unlike the training data", icon=":material/warning:", color="orange")
    else:
        st.badge("like the training data", icon=":material/check:", color="green")
    how = (f"Distance to the fifth nearest training row: {found.distance:.3f}. 95 % of the validation rows lie nearer "
           f"than {found.limit:.3f}.")
    if found.false_alarms is not None:
        how += f" The same rule flags {100 * found.false_alarms:.0f} % of the test rows, which are no different."
    st.caption(how)
