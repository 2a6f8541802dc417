"""Controls that stay in sight while a page is scrolled: one style sheet, for what Streamlit has no part."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

SCRIPT = """
export default function ({ parentElement }) {
  const colour = getComputedStyle(parentElement).getPropertyValue("--st-background-color");
  document.documentElement.style.setProperty("--thaw-page", colour);
}
"""


def style() -> None:
    """Put the style sheet on the page, and the colour of the theme's background where it finds it."""
    css = (Path(__file__).parent / "sticky.css").read_text(encoding="utf-8")
    st.components.v2.component("thaw_sticky", css=css, js=SCRIPT, isolate_styles=False)(key="sticky", height=1)
