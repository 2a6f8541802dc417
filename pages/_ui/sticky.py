"""Controls that stay in sight while a page is scrolled: one style sheet, for what Streamlit has no part."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

SCRIPT = """
function reveal(tries) {  // the chosen block, once the strip is drawn
  const strip = document.querySelector('.st-key-features_block [data-testid="stButtonGroup"] > div');
  const chosen = strip && strip.querySelector('[data-selected="true"], [aria-checked="true"], [aria-pressed="true"]');
  if (!chosen) return tries && setTimeout(reveal, 250, tries - 1);
  const [at, inside] = [chosen.getBoundingClientRect(), strip.getBoundingClientRect()];
  if (at.left < inside.left || at.right > inside.right)
    strip.scrollLeft += at.left - inside.left - (inside.width - at.width) / 2;
}
export default function ({ parentElement, data }) {
  setTimeout(reveal, 250, 20);
  const colour = getComputedStyle(parentElement).getPropertyValue("--st-background-color");
  document.documentElement.style.setProperty("--thaw-page", colour);
}
"""


def style(chosen: str = "") -> None:
    """Put the style sheet on the page, and the colour of the theme's background where it finds it. chosen: the block;
    where another one is chosen, it is scrolled into sight."""
    css = (Path(__file__).parent / "sticky.css").read_text(encoding="utf-8")
    st.components.v2.component("thaw_sticky", css=css, js=SCRIPT, isolate_styles=False)(
        data={"chosen": chosen}, key="sticky", height=1)
