"""The one look of every chart: a `Chart` is a figure, the finding it states, and words for a screen reader."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.plots import palette

if TYPE_CHECKING:
    import plotly.graph_objects as go

SLANT = -35
CHARACTER_PX = 6.6
"""Width of a typical character of a label."""
_GRID = palette.fade(palette.BASE, 0.22)
_LINE = palette.fade(palette.BASE, 0.6)
_AXES: dict[str, Any] = {"gridcolor": _GRID, "linecolor": _LINE, "zeroline": False, "automargin": True,
                         "showline": True,
                         "ticklabeloverflow": "allow"}  # else the browser measures every label


@dataclass(frozen=True)
class Chart:
    """A finished figure and what it shows.

    title: the finding, one sentence; pages print it above the figure, exports carry it inside.
    alt: the same for people who cannot see the chart, with the numbers that matter.
    """

    figure: go.Figure
    title: str
    alt: str

    def titled(self) -> go.Figure:
        """A copy of the figure with its title inside, for PNG, SVG and HTML files."""
        import plotly.graph_objects as go

        copy = go.Figure(self.figure)
        room = 56 if copy.layout.showlegend is not False else 40  # the legend stands between title and plot
        top = int(copy.layout.margin.t or 8) + room
        copy.update_layout(title={"text": self.title, "x": 0.01, "xanchor": "left", "y": 1, "yanchor": "top",
                                  "yref": "container", "pad": {"t": 12}, "font": {"size": 17}},
                           margin={"t": top}, height=int(copy.layout.height or 450) + room)
        return copy


def figure(*, x_title: str = "", y_title: str = "", height: int = 380, legend: bool = True) -> go.Figure:
    """An empty figure in Thaw's look; backgrounds are transparent, so that either theme shows through."""
    # Plotly uses pandas as soon as it is among the loaded modules, also while another thread is only half through with
    # loading it, and then fails. An import waits for that thread.
    import pandas  # noqa: F401
    import plotly.graph_objects as go

    return go.Figure(layout={  # in one go: each later update_layout costs as much again
        "height": height, "showlegend": legend, "uirevision": "keep", "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)", "margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "hovermode": "closest",
        "barcornerradius": 3, "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left",
                                         "x": 0, "title": {"text": ""}},
        "xaxis": {**_AXES, "title": {"text": x_title}}, "yaxis": {**_AXES, "title": {"text": y_title}}})


def subplots(fig: go.Figure, **grid: Any) -> None:
    """Cut the figure into panels (as `Figure.set_subplots`), each with axes in Thaw's look."""
    fig.set_subplots(**grid)
    fig.update_xaxes(_AXES)
    fig.update_yaxes(_AXES)


def fixed_room(fig: go.Figure, *, left: int = 64, right: int = 12, top: int = 8, bottom: int = 48) -> None:
    """Fixed room round the plot, in pixels, for labels of known size: else the browser lays it out twice."""
    fig.update_xaxes(automargin=False)
    fig.update_yaxes(automargin=False)
    fig.update_layout(margin={"l": left, "r": right, "t": top, "b": bottom})


LABEL_CHARACTERS = 24
"""A longer name on an axis goes on in another line, or is cut."""


def plain(text: str) -> str:
    """A name as the browser draws it literally: plotly reads a little HTML, and names are the user's."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis_label(name: str) -> str:
    """A name beside an axis, at its separators on up to two lines, each cut to what a phone has room for."""
    lines = [name]
    if len(name) > LABEL_CHARACTERS and " · " in name:
        first, _, rest = name.partition(" · ")
        lines = [first, rest]
    return "<br>".join(plain(_cut(line)) for line in lines)


def _cut(text: str) -> str:
    return text if len(text) <= LABEL_CHARACTERS else f"{text[:LABEL_CHARACTERS - 1].rstrip()}…"


BLOCK_NAMES = 16
"""Blocks that are named under an axis: more would cover each other."""


@dataclass(frozen=True)
class Slanted:
    """Names under an x axis, always slanted, so that their room is known before the browser measures a label.

    axis: for `update_xaxes`; room: pixels that the names need below the axis.
    """

    axis: dict[str, Any]
    room: int


def slanted(names: Sequence[str], *, most: int = 140, at_most: int | None = None) -> Slanted:
    """Names at x = 0, 1, 2 …; where there are more than `at_most`, every second, third … of them."""
    longest = max((len(name) for name in names), default=0)
    shown = list(range(0, len(names), -(-len(names) // at_most) if at_most and names else 1))
    return Slanted({"tickvals": shown, "ticktext": [names[place] for place in shown], "tickangle": SLANT},
                   min(most, 22 + round(longest * CHARACTER_PX * math.sin(math.radians(-SLANT)))))


def config(form: str = "png") -> dict[str, Any]:
    """The plotly configuration that pages pass along: no logo, and only the buttons that people use. form: of the
    camera's picture, `png` or `svg`."""
    return {"displaylogo": False, "toImageButtonOptions": {"format": form, "scale": 1 if form == "svg" else 2},
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"]}
