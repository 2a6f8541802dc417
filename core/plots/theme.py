"""The one look of every chart: a `Chart` is a figure, the finding it states, and that finding in words for a screen reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.plots import palette

if TYPE_CHECKING:
    import plotly.graph_objects as go

_GRID = palette.fade(palette.BASE, 0.22)
_AXIS = palette.fade(palette.BASE, 0.6)


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
        copy.update_layout(title={"text": self.title, "x": 0.01, "xanchor": "left", "y": 1, "yanchor": "top", "yref": "container",
                                  "pad": {"t": 12}, "font": {"size": 17}},
                           margin={"t": top}, height=int(copy.layout.height or 450) + room)
        return copy


def figure(*, x_title: str = "", y_title: str = "", height: int = 380, legend: bool = True) -> go.Figure:
    """An empty figure in Thaw's look; backgrounds are transparent, so that either theme shows through."""
    import plotly.graph_objects as go

    fig = go.Figure()
    fig.update_layout(
        height=height, showlegend=legend, uirevision="keep", paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 8, "t": 8, "b": 8}, hovermode="closest", barcornerradius=3,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0, "title": {"text": ""}},
    )
    axis: dict[str, Any] = {"gridcolor": _GRID, "linecolor": _AXIS, "zeroline": False, "automargin": True, "showline": True,
                            "ticklabeloverflow": "allow"}  # else the browser measures every label
    fig.update_xaxes(title={"text": x_title}, **axis)
    fig.update_yaxes(title={"text": y_title}, **axis)
    return fig


def config() -> dict[str, Any]:
    """The plotly configuration that pages pass along: no logo, and only the buttons that people use."""
    return {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"]}
