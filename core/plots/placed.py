"""Where does my input land? The rows of a run through one camera, pale, with the input as a star among its nearest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from core.plots import palette
from core.plots.numbers import percent
from core.plots.shift_map import SMOOTH_ROWS, Colouring, Positions, _points, window
from core.plots.theme import Chart, figure, plain

MOST_NAMED = 8
"""Classes in the legend; with more, only those of the nearest rows."""
SAME = 1e-4
"""Cosine distance below which a row and the input are one and the same to the model: what rounding leaves."""


def chart(rows: Positions, colouring: Colouring, *, place: tuple[float, float], near: Sequence[int],
          distances: Sequence[float], hover: Sequence[str], seen_by: str, shown: float,
          within: tuple[np.ndarray, float] | None = None, height: int = 380) -> Chart:
    """The map of one side with an input on it.

    rows: `(n_rows, 2)`; colouring: by class; near: places of the nearest rows, the nearest first, with their
    distances. seen_by: name of the side. shown: share of the spread of the rows that the map holds, 0–1. within: centre
    and half width of a window that maps with the same axes share.
    """
    fig = figure(height=height)
    pale = _points(rows, colouring, range(len(rows)), hover, (), bar=False, opacity=0.4)
    fig.add_trace(pale)
    for number in near:
        fig.add_scatter(x=[place[0], rows[number, 0]], y=[place[1], rows[number, 1]], mode="lines", hoverinfo="skip",
                        showlegend=False, line={"color": palette.BASE, "width": 1.2})
    if len(near):
        bright = _points(rows[list(near)], _of(colouring, near), list(near), [hover[number] for number in near], (),
                         bar=False, opacity=1.0)
        bright.update(marker={"size": 10, "line": {"width": 1.5, "color": palette.BASE}})
        fig.add_trace(bright)
    fig.add_scatter(x=[place[0]], y=[place[1]], mode="markers", name="your input",
                    hovertemplate="your input<extra></extra>",
                    marker={"symbol": "star", "size": 19, "color": palette.TRAINING,
                            "line": {"width": 1.5, "color": palette.LIGHT_BACKGROUND}})
    _named(fig, colouring, near, smooth=len(rows) <= SMOOTH_ROWS)
    middle, half = within or window([rows, np.array([place])])
    for axis, at in ((fig.update_xaxes, middle[0]), (fig.update_yaxes, middle[1])):
        axis(range=[at - half, at + half], showticklabels=False, constrain="domain")
    fig.update_yaxes(scaleanchor="x", scaleratio=1)
    title = landing(colouring, near, distances)
    coloured = ", in the colours of their classes" if colouring.classes else ""
    return Chart(fig, title, f"Map of {len(rows)} rows as {seen_by} sees them{coloured}, with your input as a star "
                             f"joined to its {len(near)} nearest rows. {title}. The map holds {percent(shown)} of the "
                             "spread of these rows.")


def landing(colouring: Colouring, near: Sequence[int], distances: Sequence[float]) -> str:
    """Where an input lands, in a sentence: among rows of which class."""
    named = [colouring.classes[at] for number in near
             if 0 <= (at := int(colouring.values[number])) < len(colouring.classes)]
    if near and distances and distances[0] < SAME:
        own = int(colouring.values[near[0]])
        of = f" of {colouring.classes[own]}" if 0 <= own < len(colouring.classes) else ""
        return f"It lands on a row of the map{of}"
    if not colouring.classes and distances:
        return f"The row nearest to it lies at a cosine distance of {distances[0]:.2f}"
    if not named:
        return "It lands among rows without a class"
    (first, most), *others = Counter(named).most_common()
    if most == len(near):
        return f"It lands among {first}: all {most} nearest rows are of this class"
    if 2 * most > len(near):
        return f"It lands among {first}: {most} of the {len(near)} nearest rows are of this class"
    return "It lands between " + " and ".join([first, *(name for name, _ in others[:1])]) if others else (
        f"It lands near {first}: {most} of the {len(near)} nearest rows are of this class")


def _of(colouring: Colouring, near: Sequence[int]) -> Colouring:
    return Colouring(title=colouring.title, values=colouring.values[list(near)], classes=colouring.classes)


def _named(fig: object, colouring: Colouring, near: Sequence[int], *, smooth: bool) -> None:
    """Legend entries, after the data: of all classes where these are few."""
    present = sorted({int(value) for value in colouring.values} - {-1})
    if len(present) > MOST_NAMED:
        present = sorted({int(colouring.values[number]) for number in near} - {-1})
    for number in present:
        look = palette.arm(number)
        fig.add_scatter(x=[None], y=[None], mode="markers", name=plain(colouring.classes[number]),  # type: ignore[attr-defined]
                        marker={"color": look.colour, "symbol": look.symbol if smooth else "circle", "size": 8})
    fig.update_layout(legend={"itemclick": False, "itemdoubleclick": False})  # type: ignore[attr-defined]
