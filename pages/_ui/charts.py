"""A chart on a page: its finding as a caption above, its words for a screen reader, both themes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.plots import drawn_numbers, palette
from core.plots.theme import Chart, config
from core.share.document import Document
from core.spreadsheets import records_to_csv
from pages._ui import guard
from pages._ui.shell import escape

if TYPE_CHECKING:
    import plotly.graph_objects as go


def show(chart: Chart, *, key: str, help: str | None = None,
         pressed: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Draw a chart with its title as text (so that it wraps on a phone) and its alternative text.

    pressed: called with the point that a visitor presses, before the page is drawn again.
    """
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        st.markdown(f"**{escape(chart.title)}**", help=help, width="stretch")
        form = _save(chart, key)
    if pressed is None:
        st.plotly_chart(backed(chart.figure), key=key, alt=chart.alt, config=config(form))
        return

    def chosen() -> None:
        if points := st.session_state[key]["selection"]["points"]:
            pressed(points[0])

    st.plotly_chart(backed(chart.figure), key=key, alt=chart.alt, config=config(form), on_select=guard.callback(chosen),
                    selection_mode="points")


def backed(figure: go.Figure) -> go.Figure:
    """A copy on the background of the theme, which a picture of it takes along: light text on nothing is lost on white
    paper. Made once a figure and theme."""
    import plotly.graph_objects as go

    colour = palette.DARK_BACKGROUND if st.context.theme.type == "dark" else palette.LIGHT_BACKGROUND
    known: dict[str, go.Figure] = vars(figure).setdefault("_backed", {})
    if colour not in known:
        known[colour] = go.Figure(figure)
        known[colour].update_layout(paper_bgcolor=colour,
                                    legend_bgcolor="rgba(0,0,0,0)")  # else the paper's, also in another theme
    return known[colour]


def _save(chart: Chart, key: str) -> str:
    """The chart as a file of its own and its numbers; returns the form in which the camera above it takes a picture."""
    with st.popover("Save", icon=":material/save_alt:", key=f"save_{key}"):
        form = st.segmented_control("The camera in the chart saves", ["PNG", "SVG"], default="PNG", required=True,
                                    key=f"save_{key}_form") or "PNG"
        st.download_button("HTML file", data=guard.made(lambda: file(chart)), file_name=f"{key}.html", mime="text/html",
                           icon=":material/html:", on_click="ignore", key=f"save_{key}_html",
                           help="The chart by itself, to be looked at without this server or a network.")
        st.download_button("Numbers as CSV", data=guard.made(lambda: numbers(chart)), file_name=f"{key}.csv",
                           mime="text/csv", icon=":material/table:", on_click="ignore", key=f"save_{key}_csv")
    return str(form).lower()


def file(chart: Chart) -> bytes:
    """The chart as one HTML file that needs no network; its title is the page's."""
    document = Document(chart.title)
    document.chart(replace(chart, title=""))
    return document.bytes()


def numbers(chart: Chart) -> bytes:
    """What it draws, a line a point."""
    return records_to_csv(drawn_numbers.records(chart.figure)).encode()


@st.cache_resource(max_entries=100, show_spinner=False)
def kept(key: tuple[Any, ...], _make: Callable[[], Chart]) -> Chart:
    """A chart, made once in this process: `key` must name all that it depends on. Treat it as read-only."""
    return _make()
