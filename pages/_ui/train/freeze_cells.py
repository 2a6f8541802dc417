"""The cells of the freeze grid as one part: 80 blocks are switched by click, by drag, from one to another with Shift,
and by keyboard, which 80 buttons of Streamlit's are not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages._ui import guard

HTML = """
<div class="cells" role="toolbar" aria-label="Blocks: pressed ones train"></div>
<p class="hint">Click a block to switch it. Drag over several, or hold Shift and click, for all of them; with the
keyboard: arrow keys and Space, with Shift from the last one switched.</p>
"""
_HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One block of the grid."""

    name: str
    text: str
    """What stands in it."""
    label: str
    """Its name for a screen reader, which says beside it whether it is pressed."""
    help: str
    frozen: bool
    fixed: bool = False
    """Cannot be switched."""
    follows: int | None = None
    """Place of the cell whose state this one shows (an output layer that shares the embeddings)."""


def draw(cells: Sequence[Cell], *, serial: int, marked: Collection[str], on_plan: Callable[[list[str], int], None],
         key: str) -> None:
    """Draw them. serial: of the plan that they show, grows with each change; `on_plan` is called with the frozen names
    and the serial of a plan that a person has made. marked: names that a search has found."""
    def changed() -> None:
        if plan := st.session_state[key].get("plan"):
            on_plan([str(name) for name in plan["frozen"]], int(plan["serial"]))

    data = {"cells": [asdict(cell) for cell in cells], "serial": serial, "marked": sorted(marked)}
    _component()(data=data, key=key, on_plan_change=guard.callback(changed))


def _component() -> Any:
    """Registered in every run, as Streamlit needs it."""
    return st.components.v2.component("thaw_freeze_cells", html=HTML, css=_text("css"), js=_text("js"))


def _text(kind: str) -> str:
    return (_HERE / f"freeze_cells.{kind}").read_text(encoding="utf-8")
