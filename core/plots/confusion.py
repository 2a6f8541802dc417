"""Which classes a run takes for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.plots import palette
from core.plots.numbers import percent
from core.plots.theme import Chart, figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_CLASSES = 40
"""With more classes than this, only those with the most errors are drawn."""


MOST_NUMBERS = 15
"""With more classes than this, cells carry no numbers."""


def matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], *, name: str = "", height: int = 380) -> Chart:
    """Confusion matrix: `counts` is `(n_classes, n_classes)`, rows = true class; colour = share of the row."""
    table = np.asarray(counts, dtype=float)
    title = _finding(table, classes, name)
    shown = list(range(len(classes)))
    if len(shown) > MOST_CLASSES:
        errors = table.sum(1) + table.sum(0) - 2 * np.diag(table)
        shown = sorted(np.argsort(-errors, kind="stable")[:MOST_CLASSES].tolist())
        title += f" (the {MOST_CLASSES} classes with the most errors)"
    labels = [_short(classes[i]) for i in shown]
    rows = table.sum(1)[shown]
    part = table[np.ix_(shown, shown)]
    shares = np.divide(part, rows[:, None], out=np.zeros_like(part), where=rows[:, None] > 0)
    fig = figure(x_title="Predicted class", y_title="True class", height=height, legend=False)
    fig.add_heatmap(
        z=shares, x=list(range(len(shown))), y=list(range(len(shown))), zmin=0, zmax=1, customdata=part,
        meta={"columns": ["rows"]}, xgap=1, ygap=1,
        colorscale=[list(stop) for stop in palette.SEQUENTIAL], showscale=False,
        hovertemplate="%{customdata:.0f} rows (%{z:.0%} of their class)<extra></extra>")
    if len(shown) <= MOST_NUMBERS:
        for dark, colour in ((True, "#ffffff"), (False, palette.BASE)):
            cells = [(x, y) for y in range(len(shown)) for x in range(len(shown)) if (shares[y, x] > 0.35) == dark]
            fig.add_scatter(x=[x for x, _ in cells], y=[y for _, y in cells], mode="text", hoverinfo="skip",
                            text=[f"{part[y, x]:.0f}" for x, y in cells], textfont={"color": colour},
                            unselected={"textfont": {"color": colour}})  # a pressed cell leaves the others as they are
    _pressable(fig, part, shown, shares)
    ticks = list(range(len(shown)))
    fig.update_xaxes(tickvals=ticks, ticktext=labels, showgrid=False, tickangle=-35 if len(shown) > 3 else 0)
    fig.update_yaxes(tickvals=ticks, ticktext=labels, showgrid=False, autorange="reversed")
    total, right = int(table.sum()), int(np.trace(table))
    return Chart(fig, title, f"Confusion matrix{f' of {name}' if name else ''}: {right} of {total} test rows on the "
                             f"diagonal. {title}.")


def _pressable(fig: go.Figure, part: np.ndarray, shown: Sequence[int], shares: np.ndarray) -> None:
    """Unseen squares over the cells that have rows, since a heatmap's own cells cannot be pressed; `customdata` is
    (true class, predicted class)."""
    cells = [(x, y) for y in range(len(shown)) for x in range(len(shown)) if part[y, x]]
    seen = {"marker": {"opacity": 0.0}}
    fig.add_scatter(
        x=[x for x, _ in cells], y=[y for _, y in cells], mode="markers", selected=seen, unselected=seen,
        customdata=[[shown[y], shown[x]] for x, y in cells], name="cells",
        marker={"symbol": "square", "opacity": 0.0, "size": max(6, min(44, 280 // max(1, len(shown))))},
        text=[f"{part[y, x]:.0f} rows ({percent(shares[y, x])} of their class)" for x, y in cells],
        hovertemplate="%{text}<extra></extra>")


def _finding(table: np.ndarray, classes: Sequence[str], name: str) -> str:
    prefix = f"{name}: " if name else ""
    off = table - np.diag(np.diag(table))
    if off.sum() == 0:
        return prefix + ("every test row is right" if table.sum() else "no test rows")
    true, predicted = divmod(int(off.argmax()), off.shape[1])
    return (f"{prefix}most often, {_short(classes[true])} is taken for {_short(classes[predicted])} "
            f"({int(off[true, predicted])} of {int(table[true].sum())} rows)")


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"
