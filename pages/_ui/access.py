"""Keyboards, screen readers, phones and faded text: what Streamlit leaves out, mended once for every page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_SCRIPT = (_HERE / "access.js").read_text(encoding="utf-8")


def mend() -> None:
    """The few rules of style, and the script that acts on the whole page; neither takes room."""
    st.html(_HERE / "access.css")
    st.components.v2.component("thaw_access", js=_SCRIPT)(key="access")
