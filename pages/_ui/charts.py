"""A chart on a page: its finding as a caption above, its words for a screen reader, both themes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.plots.theme import Chart, config
from pages._ui import guard
from pages._ui.shell import escape


def show(chart: Chart, *, key: str, help: str | None = None,
         pressed: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Draw a chart with its title as text (so that it wraps on a phone) and its alternative text.

    pressed: called with the point that a visitor presses, before the page is drawn again.
    """
    st.markdown(f"**{escape(chart.title)}**", help=help)
    if pressed is None:
        st.plotly_chart(chart.figure, key=key, alt=chart.alt, config=config())
        return

    def chosen() -> None:
        if points := st.session_state[key]["selection"]["points"]:
            pressed(points[0])

    st.plotly_chart(chart.figure, key=key, alt=chart.alt, config=config(), on_select=guard.callback(chosen),
                    selection_mode="points")


@st.cache_resource(max_entries=100, show_spinner=False)
def kept(key: tuple[Any, ...], _make: Callable[[], Chart]) -> Chart:
    """A chart, made once in this process: `key` must name all that it depends on. Treat it as read-only."""
    return _make()
