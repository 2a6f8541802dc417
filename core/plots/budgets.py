"""A metric over the number of labelled rows: what each method does with few labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.metrics import Metric
from core.plots.intervals import Point, finding
from core.plots.numbers import measured
from core.plots.theme import Chart, figure, plain

OFFSET = 0.03
"""Methods at the same number of rows stand so far apart on the log axis that their intervals can be told apart."""


@dataclass(frozen=True, kw_only=True)
class BudgetPoint:
    """One method at one number of labelled rows."""

    line: str
    """Points of the same line are joined."""
    rows: int
    """Labelled rows that it used, training and validation together."""
    point: Point
    seeds: int = 1
    """Runs behind it."""


def over_rows(points: Sequence[BudgetPoint], *, metric: Metric, split: str) -> Chart:
    """One line a method over labelled rows (log), with interval bars; the title says what the fewest rows support."""
    fig = figure(x_title="Labelled rows (log scale)", y_title=metric.heading(split), height=400)
    lines = list(dict.fromkeys(p.line for p in points))
    said = []
    for place, line in enumerate(lines):
        own = sorted((p for p in points if p.line == line), key=lambda p: p.rows)
        look = own[0].point.look
        shift = 1 + OFFSET * (place - (len(lines) - 1) / 2)
        fig.add_scatter(
            x=[p.rows * shift for p in own], y=[p.point.value for p in own], mode="lines+markers", name=plain(line),
            line={"color": look.colour, "width": 2, "dash": look.dash},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            error_y={"type": "data", "symmetric": False, "array": [p.point.high - p.point.value for p in own],
                     "arrayminus": [p.point.value - p.point.low for p in own], "color": look.colour, "thickness": 2,
                     "width": 5},
            text=[f"{p.point.hover}<br>{p.rows:,} labelled rows{f', {p.seeds} seeds' if p.seeds > 1 else ''}<br>"
                  f"{_text(p.point)}" for p in own], hovertemplate="%{text}<extra></extra>")
        said.append(f"{line}: " + ", ".join(f"{_text(p.point)} with {p.rows:,} rows" for p in own))
    ticks = sorted({p.rows for p in points})
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{n:,}" for n in ticks])
    fig.update_yaxes(tickformat=".2f")
    fig.update_traces(cliponaxis=False)
    title = _finding(points, metric, split)
    return Chart(fig, title, f"{title}. {'; '.join(said)}.")


def _text(point: Point) -> str:
    return measured(point.value, point.low, point.high)


def _finding(points: Sequence[BudgetPoint], metric: Metric, split: str) -> str:
    fewest = min(p.rows for p in points)
    there = [replace(p.point, name=p.line) for p in points if p.rows == fewest]
    text = finding(there, metric, split)
    lines = {p.line for p in points}
    text = text if any(text.startswith(line) for line in lines) else text[:1].lower() + text[1:]
    return f"With {fewest:,} labelled rows: {text}"
