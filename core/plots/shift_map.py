"""What does it look like? Both models drawn with one camera: two panes, arrows, and the way between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.plots import palette
from core.plots.numbers import percent
from core.plots.theme import Chart, figure, subplots

if TYPE_CHECKING:
    import plotly.graph_objects as go

Positions = NDArray[np.float64]
SMOOTH_ROWS = 1500
"""Up to so many rows a map is SVG and may be tweened; above, WebGL in steps."""
MOVERS = 50
MOST_SELECTED = 100
"""Selected rows that get an arrow; more would hide the map."""


@dataclass(frozen=True, kw_only=True)
class Colouring:
    """What the colour of a row says."""

    title: str
    values: NDArray[np.float64]
    """`(n_rows,)`: class numbers, or a measured number."""
    classes: tuple[str, ...] = ()
    """Names of the class numbers; empty for a measured number. Negative numbers are drawn grey."""
    second: str = ""
    """Name of the rows of a second dataset, whose class number is the one after the last; empty without one."""
    low: float | None = None
    """Ends of a measured scale; the data's when None."""
    high: float | None = None

    @property
    def looks(self) -> list[tuple[str, palette.Arm]]:
        """Name and look of every class number."""
        return ([(name, palette.arm(c)) for c, name in enumerate(self.classes)]
                + ([(self.second, palette.SECOND)] if self.second else []))


def panes(base: Positions, tuned: Positions, colouring: Colouring, *, row_ids: Sequence[int], hover: Sequence[str],
          names: tuple[str, str], selected: Sequence[int] = (), finding: str = "", height: int = 520) -> Chart:
    """Base left, tuned right: the same limits, aspect 1, one trace a pane with row ids in `customdata`.

    base, tuned: `(n_rows, 2)`; hover: text a row; selected: positions of rows kept bright in both panes.
    """
    fig = figure(height=height)
    subplots(fig, rows=1, cols=2, horizontal_spacing=0.04, subplot_titles=list(names))
    for column, positions in enumerate((base, tuned), start=1):
        fig.add_trace(_points(positions, colouring, row_ids, hover, selected, bar=column == 2), row=1, col=column)
    _same_axes(fig, [base, tuned], columns=2)
    _legend(fig, colouring)
    title, alt = panes_words(len(base), names, colouring, finding)
    return Chart(fig, title, alt)


def panes_words(n_rows: int, names: tuple[str, str], colouring: Colouring, finding: str = "") -> tuple[str, str]:
    """Title and alternative text of two panes."""
    title = finding or f"{names[0]} and {names[1]} through one camera, coloured by {colouring.title.lower()}"
    title = title[:1].upper() + title[1:]
    return title, (f"Two maps of the same {n_rows} rows with the same axes: {names[0]} on the left, {names[1]} "
                   f"on the right, coloured by {colouring.title.lower()}. {title}.")


def _points(positions: Positions, colouring: Colouring, row_ids: Sequence[int], hover: Sequence[str],
            selected: Sequence[int], *, bar: bool, opacity: float = 0.8) -> Any:
    import plotly.graph_objects as go

    kind = go.Scatter if len(positions) <= SMOOTH_ROWS else go.Scattergl
    size = 6 if len(positions) <= 5000 else 4
    return kind(x=positions[:, 0], y=positions[:, 1], mode="markers", customdata=np.asarray(row_ids), text=list(hover),
                showlegend=False,
                marker={**_marker(colouring, bar=bar), "size": size, "opacity": opacity, "line": {"width": 0}},
                selectedpoints=list(selected) or None, unselected={"marker": {"opacity": 0.12}},
                hovertemplate="%{text}<extra></extra>")


def _marker(colouring: Colouring, *, bar: bool) -> dict[str, Any]:
    if colouring.classes:
        numbers = colouring.values.astype(int)
        looks = [*(look for _, look in colouring.looks), palette.Arm(palette.BASE, "circle-open", "solid")]  # −1: last
        if len(numbers) > SMOOTH_ROWS:  # numbers instead of words: a tenth of the time and of the bytes
            return {"color": numbers.astype(float), **_steps([looks[-1], *looks[:-1]]), "showscale": False}
        return {"color": [looks[c].colour for c in numbers], "symbol": [looks[c].symbol for c in numbers]}
    known = colouring.values[np.isfinite(colouring.values)]
    ends = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return {"color": colouring.values, "colorscale": "Cividis",
            "cmin": ends[0] if colouring.low is None else colouring.low,
            "cmax": ends[1] if colouring.high is None else colouring.high, "showscale": bar,
            "colorbar": {"title": {"text": colouring.title, "side": "right"}, "thickness": 12}}


def _steps(looks: Sequence[palette.Arm]) -> dict[str, Any]:
    """A colour scale of plain steps, one a class number, from −1."""
    count = len(looks)
    scale = [[edge / count, look.colour] for i, look in enumerate(looks) for edge in (i, i + 1)]
    return {"colorscale": scale, "cmin": -1.5, "cmax": count - 1.5}


def _legend(fig: go.Figure, colouring: Colouring) -> None:
    """Legend entries of the classes, after the data traces so that selections keep their trace numbers."""
    present = {int(v) for v in np.unique(colouring.values)} if colouring.classes else set()
    for number, (name, look) in enumerate(colouring.looks):
        if number in present:
            symbol = look.symbol if len(colouring.values) <= SMOOTH_ROWS else "circle"
            fig.add_scatter(x=[None], y=[None], mode="markers", name=name,
                            marker={"color": look.colour, "symbol": symbol, "size": 8})
    fig.update_layout(legend={"itemclick": False, "itemdoubleclick": False,
                              "y": 1.1 if fig.layout.annotations else 1.02},
                      margin={"t": 48 if fig.layout.annotations else 8})


def _same_axes(fig: go.Figure, drawn: Sequence[Positions], *, columns: int, rows: int = 1) -> None:
    """One square window for every pane: same limits, aspect 1, no tick labels (units of a projection mean nothing)."""
    middle, half = window(drawn)
    fig.update_xaxes(range=[middle[0] - half, middle[0] + half], showticklabels=False, constrain="domain")
    fig.update_yaxes(range=[middle[1] - half, middle[1] + half], showticklabels=False, constrain="domain")
    for index in range(rows * columns):
        number = "" if index == 0 else str(index + 1)
        fig.layout[f"yaxis{number}"].update(scaleanchor=f"x{number}", scaleratio=1)
        if index:
            fig.layout[f"xaxis{number}"].update(matches="x")
            fig.layout[f"yaxis{number}"].update(matches="y")


def window(drawn: Sequence[Positions]) -> tuple[NDArray[np.float64], float]:
    """Centre `(2,)` and half width of the square that holds every point of every pane, with a margin."""
    points = np.concatenate([p[np.isfinite(p).all(axis=1)] for p in drawn])
    low, high = (points.min(axis=0), points.max(axis=0)) if len(points) else (np.zeros(2), np.ones(2))
    return (low + high) / 2, max(float(np.max(high - low)) / 2 * 1.05, 1e-9)


def overlay(base: Positions, tuned: Positions, colouring: Colouring, *, row_ids: Sequence[int], hover: Sequence[str],
            names: tuple[str, str], distance: NDArray[np.float64], kept: NDArray[np.float64],
            labels: NDArray[np.int64] | None = None, selected: Sequence[int] = (), arrows: bool = True,
            captured: float | None = None, height: int = 560) -> Chart:
    """Base rows pale, tuned rows on top, and arrows for class centroids, the 50 largest movers and the selection; never
    all rows.

    distance: movement a row in the full space (chooses the movers); kept: share of neighbours kept (the more lost, the
    darker the arrow). arrows: False for views whose distances mean nothing, and for identical sides. captured: movement
    captured, 0–1.
    """
    fig = figure(height=height)
    fig.add_trace(_points(tuned, colouring, row_ids, hover, selected, bar=not colouring.classes))
    fig.add_scatter(x=base[:, 0], y=base[:, 1], mode="markers", name=names[0], hoverinfo="skip", showlegend=False,
                    marker={"color": palette.BASE, "size": 4, "opacity": 0.25})
    if arrows:
        for number, (rows, opacity) in enumerate(movers(distance, kept)):
            _arrows(fig, base, tuned, rows, "largest movers" if number == 0 else "", palette.BASE, opacity=opacity)
        chosen = sorted(selected, key=lambda i: -np.nan_to_num(distance[i]))[:MOST_SELECTED]
        name = "selected rows" if len(chosen) == len(selected) else f"selected rows ({MOST_SELECTED} largest moves)"
        _arrows(fig, base, tuned, chosen, name, palette.TRAINING, width=2)
        if labels is not None:
            before, after = centroids(base, labels), centroids(tuned, labels)
            _arrows(fig, before, after, list(range(len(before))), "class centroids", palette.TRAINING, width=4)
    _same_axes(fig, [base, tuned], columns=1)
    _legend(fig, colouring)
    title, alt = arrows_words(len(base), names, arrows=arrows, captured=captured)
    return Chart(fig, title, alt)


def arrows_words(n_rows: int, names: tuple[str, str], *, arrows: bool, captured: float | None) -> tuple[str, str]:
    """Title and alternative text of the overlay."""
    if not arrows:
        title = "No arrows: nothing moved, or this view shows groups but not distances"
    elif captured is None:
        title = "Arrows are exact shadows of the movement"
    else:
        title = (f"These arrows show {percent(captured)} of the real movement"
                 + (": most of it is out of this picture" if captured < 0.2 else ""))
    drawn = (f" with arrows from {names[0]} to {names[1]} for class centroids, the {MOVERS} largest movers "
             "and the selection")
    return title, f"Map of {n_rows} rows{drawn if arrows else ''}. {title}."


def movers(distance: NDArray[np.float64], kept: NDArray[np.float64]) -> list[tuple[list[int], float]]:
    """The rows that moved furthest, in groups by neighbours lost, with their arrows' opacity; most lost first."""
    far = [int(i) for i in np.argsort(-np.nan_to_num(distance), kind="stable")[:MOVERS] if distance[i] > 0]
    lost = 1 - np.nan_to_num(kept, nan=1.0)
    levels = ((2 / 3, 1.0, 1.0), (1 / 3, 2 / 3, 0.65), (-1.0, 1 / 3, 0.35))
    return [(rows, opacity) for low, high, opacity in levels if (rows := [i for i in far if low < lost[i] <= high])]


def centroids(positions: Positions, labels: NDArray[np.int64]) -> Positions:
    """Mean position of each class that occurs, `(n_classes, 2)`; −1 is no class."""
    present = np.unique(labels[labels >= 0])
    return np.stack([positions[labels == c].mean(axis=0) for c in present]) if len(present) else np.empty((0, 2))


def _arrows(fig: go.Figure, start: Positions, end: Positions, rows: Sequence[int], name: str, colour: str, *,
            width: float = 1.2, opacity: float = 1.0) -> None:
    """Arrows as one trace: pairs of points parted by gaps, a head on each second point."""
    if not rows:
        return
    x, y = (np.full((len(rows), 3), np.nan) for _ in range(2))
    x[:, 0], x[:, 1], y[:, 0], y[:, 1] = start[rows, 0], end[rows, 0], start[rows, 1], end[rows, 1]
    sizes = np.tile([0, 5 + 2 * width, 0], len(rows))
    fig.add_scatter(x=x.ravel(), y=y.ravel(), mode="lines+markers", name=name, showlegend=bool(name), hoverinfo="skip",
                    opacity=opacity, line={"color": colour, "width": width},
                    marker={"symbol": "arrow", "size": sizes, "angleref": "previous", "color": colour, "opacity": 1,
                            "line": {"width": 0}})


def transition(base: Positions, tuned: Positions, colouring: Colouring, *, share: float, row_ids: Sequence[int],
               hover: Sequence[str], names: tuple[str, str], selected: Sequence[int] = (), height: int = 520) -> Chart:
    """Rows on the way from base (share 0) to tuned (share 1); exact in a linear view. The axes stay."""
    fig = figure(height=height)
    fig.add_trace(_points((1 - share) * base + share * tuned, colouring, row_ids, hover, selected, bar=True))
    _same_axes(fig, [base, tuned], columns=1)
    _legend(fig, colouring)
    if len(base) <= SMOOTH_ROWS:
        fig.update_layout(transition={"duration": 250, "easing": "cubic-in-out"})
    title = f"{percent(share)} of the way from {names[0]} to {names[1]}"
    return Chart(fig, title, way_alt(len(base), title, colouring))


def way_alt(n_rows: int, title: str, colouring: Colouring) -> str:
    """Alternative text of the way between."""
    return f"Map of {n_rows} rows, {title}, coloured by {colouring.title.lower()}."


def multiples(frames: Sequence[tuple[str, Positions]], colouring: Colouring, *, height: int = 620) -> Chart:
    """Up to 12 checkpoints as subplots of one figure, in order, all in the same window."""
    shown = list(frames) if len(frames) <= 12 else [frames[i] for i in np.linspace(0, len(frames) - 1, 12).astype(int)]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    fig = figure(height=height if rows > 1 else height // 2)
    subplots(fig, rows=rows, cols=columns, horizontal_spacing=0.02, vertical_spacing=0.08,
             subplot_titles=[name for name, _ in shown])
    for index, (_, positions) in enumerate(shown):
        trace = _points(positions, colouring, range(len(positions)), [""] * len(positions),
                        (), bar=index == len(shown) - 1)
        trace.update(marker={"size": 3}, hoverinfo="skip", hovertemplate=None)
        fig.add_trace(trace, row=index // columns + 1, col=index % columns + 1)
    _same_axes(fig, [p for _, p in shown], columns=columns, rows=rows)
    _legend(fig, colouring)
    title = f"The map at {len(shown)} points of training, from {shown[0][0]} to {shown[-1][0]}"
    return Chart(fig, title, f"{title}, each with the same axes, coloured by {colouring.title.lower()}.")
