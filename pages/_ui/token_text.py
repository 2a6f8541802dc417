"""A text whose tokens are told apart by what training does with them: underlined ember is taught, plain is context,
struck through is cut. Whatever the text holds, it is shown as it is: the browser is handed text, never markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

HTML = """
<ul class="legend"></ul>
<div class="text" dir="auto" tabindex="0" role="region"></div>
"""
KINDS = {"taught": "the model learns to say it", "context": "it reads this, and is not judged on it",
         "cut": "beyond the length; it never sees this"}
_HERE = Path(__file__).parent


def show(pieces: Sequence[Mapping[str, str]], *, label: str, key: str, kinds: Mapping[str, str] = KINDS) -> None:
    """Draw a row in stretches ({"text", "kind"}) with a legend of the kinds that occur. label: for a screen reader.
    kinds: kind -> its words in the legend; empty for a kind that the legend leaves out."""
    there = {piece["kind"] for piece in pieces}
    legend = [{"kind": kind, "words": words} for kind, words in kinds.items() if kind in there and words]
    shown = [{"text": str(piece["text"]), "kind": piece["kind"] if piece["kind"] in kinds else "context"}
             for piece in pieces]
    _component()(data={"pieces": shown, "legend": legend, "label": label}, key=key)


def _component() -> Any:
    """Registered in every run, as Streamlit needs it."""
    return st.components.v2.component("thaw_token_text", html=HTML, css=_text("css"), js=_text("js"))


def _text(kind: str) -> str:
    return (_HERE / f"token_text.{kind}").read_text(encoding="utf-8")
