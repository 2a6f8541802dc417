"""A chart on a page: its finding as a caption above, its words for a screen reader, both themes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.plots.theme import Chart, config
from pages._ui.shell import escape


def show(chart: Chart, *, key: str, help: str | None = None) -> None:
    """Draw a chart with its title as text (so that it wraps on a phone) and its alternative text."""
    st.markdown(f"**{escape(chart.title)}**", help=help)
    st.plotly_chart(chart.figure, key=key, alt=chart.alt, config=config())


@st.cache_resource(max_entries=200, show_spinner=False)
def kept(key: tuple[Any, ...], _make: Callable[[], Chart]) -> Chart:
    """A chart, made once in this process: `key` must name all that it depends on. Treat it as read-only."""
    return _make()
