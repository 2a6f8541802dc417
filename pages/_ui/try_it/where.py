"""Where the input lands on the map of the run's rows, as each model sees both; or what to do where there is no map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.analysis import row_looks
from core.analysis.rows_map import DrawnRows
from core.api import TriedAnswer
from core.domain.placed import Placed
from core.domain.side import Side
from core.errors import ThawError
from core.plots import placed as plot
from core.plots.numbers import percent
from core.plots.shift_map import Colouring, window
from core.plots.theme import Chart
from pages._ui import charts, shell

Seen = DrawnRows | ThawError | None
"""The map of a side, why it cannot be drawn, or None where none was asked for."""


def maps(ws: str, sides: Sequence[Side], answers: Sequence[TriedAnswer]) -> list[Seen]:
    """One a side."""
    return [_map(ws, side) if answer.placed else None for side, answer in zip(sides, answers, strict=True)]


def _map(ws: str, side: Side) -> Seen:
    try:
        return shell.api().playground.rows_map(ws, side)
    except ThawError as error:
        return error


def windows(found: Sequence[Seen], answers: Sequence[TriedAnswer]) -> list[Any]:
    """One window a side, the same for sides with the same axes."""
    by_axes: dict[str, list[np.ndarray]] = {}
    for seen, answer in zip(found, answers, strict=True):
        if isinstance(seen, DrawnRows) and answer.placed:
            by_axes.setdefault(seen.map.axes, []).extend(
                [seen.map.positions, np.array([[answer.placed.x, answer.placed.y]])])
    shared = {axes: window(drawn) for axes, drawn in by_axes.items()}
    return [shared[seen.map.axes] if isinstance(seen, DrawnRows) else None for seen in found]


def draw(name: str, side: Side, answer: TriedAnswer, seen: Seen, within: Any, *, handle: str, key: str) -> None:
    """Below the answer of a model; nothing where it was not asked for. handle: of the question."""
    if answer.unplaced:
        _missing(ThawError(answer.unplaced["what"], why=answer.unplaced["why"], remedy=answer.unplaced["remedy"]), side)
    elif isinstance(seen, ThawError):
        _missing(seen, side)
    elif seen is not None and answer.placed is not None:
        shown = seen.map.variance_shown
        # while other things are worked out the page is drawn again and again, with the same chart
        chart = charts.kept(("placed", handle, key, str(within)), lambda: _chart(name, answer.placed, seen, within))
        charts.show(chart, key=key, help=_how(shown))
        st.caption(f"{len(seen.labels):,} rows of the Features page, its fixed camera, last block; {percent(shown)} of "
                   "their spread.")


def _chart(name: str, at: Placed, seen: DrawnRows, within: Any) -> Chart:
    colours = Colouring(title="Label", values=seen.labels.astype(float), classes=seen.classes)
    return plot.chart(seen.map.positions, colours, place=(at.x, at.y), near=seen.places(at.near),
                      distances=at.distances, hover=[row_looks.html(text) for text in seen.hover], seen_by=name,
                      shown=seen.map.variance_shown, within=within)


def _how(shown: float) -> str:
    return ("The rows that the Features page shows, through its fixed camera at the last block: PCA fitted once on "
            "the base model's features. Your input is projected with the same axes, exactly; nothing is fitted to it. "
            "Lines lead to the rows that are nearest in all dimensions of what the head sees, which on a map that "
            f"shows {percent(shown)} of the spread may lie apart.")


def _missing(error: ThawError, side: Side) -> None:
    st.caption(f":material/map: {shell.escape(error.what)} {shell.escape(error.why)} {shell.escape(error.remedy)}")
    shell.link("features", "Features of this run", icon=":material/scatter_plot:", run=side.run)
