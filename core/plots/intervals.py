"""Measured values with their intervals: dots in a row, and against the number of trained parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.plots import palette
from core.plots.numbers import count, measured
from core.plots.theme import Chart, figure


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run's metric with its 95 % interval."""

    name: str
    value: float
    low: float
    high: float
    index: int
    """Colour index of the arm."""
    parameters: int = 0
    """Trained parameters (only for `against_parameters`)."""


def finding(points: Sequence[Point], metric: str) -> str:
    """One sentence that never names a winner whose interval overlaps another's.

    Non-overlap of two 95 % intervals is a stricter condition than a significant difference, so silence is the safe side;
    the paired test on the Compare page is the sharper instrument.
    """
    if not points:
        return f"No run has a {metric} yet"
    order = sorted(points, key=lambda p: p.value, reverse=True)
    top = order[0]
    if len(order) == 1:
        return f"{top.name}: {metric} {measured(top.value, top.low, top.high)}"
    level = [p.name for p in order if p.high >= top.low]
    below = [p.name for p in order if p.high < top.low]
    if len(level) == 1:
        return f"{top.name} has the highest {metric}; its interval lies above all others"
    text = f"No clear winner in {metric}: the intervals of {_names(level)} overlap"
    return f"{text}; {_names(below)} {'lies' if len(below) == 1 else 'lie'} below" if below else text


def _names(names: Sequence[str]) -> str:
    if len(names) > 5:
        return f"{names[0]}, {names[1]} and {len(names) - 2} more"
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def dots(points: Sequence[Point], *, metric: str = "test accuracy") -> Chart:
    """One row a run, best on top: a dot at the value, a line over its 95 % interval."""
    order = sorted(points, key=lambda p: p.value)
    fig = figure(x_title=f"{metric[0].upper()}{metric[1:]}, with 95 % interval", height=110 + 38 * max(2, len(order)), legend=False)
    for row, point in enumerate(order):
        look = palette.arm(point.index)
        label = measured(point.value, point.low, point.high)
        fig.add_scatter(x=[point.low, point.high], y=[row, row], mode="lines", line={"color": look.colour, "width": 4}, hoverinfo="skip",
                        opacity=0.55)
        fig.add_scatter(x=[point.value], y=[row], mode="markers", name=point.name,
                        marker={"color": look.colour, "symbol": look.symbol, "size": 13},
                        hovertemplate=f"{point.name}<br>{label}<extra></extra>")
    fig.update_yaxes(tickvals=list(range(len(order))), ticktext=[p.name for p in order], range=[-0.6, max(1, len(order)) - 0.4],
                     showgrid=False)
    if order:
        low, high = min(p.low for p in order), max(p.high for p in order)
        air = 0.06 * max(high - low, 0.01)
        fig.update_xaxes(tickformat=".2f", range=[low - air, high + air])
    numbers = "; ".join(f"{p.name} {measured(p.value, p.low, p.high)}" for p in reversed(order))
    title = finding(points, metric)
    return Chart(fig, title, f"{title}. {numbers}.")


def against_parameters(points: Sequence[Point], *, metric: str = "test accuracy") -> Chart:
    """Metric against trained parameters on a log axis; the title names the smallest run that is not clearly below the best."""
    fig = figure(x_title="Trained parameters (log scale)", y_title=metric[0].upper() + metric[1:], legend=True, height=400)
    for point in sorted(points, key=lambda p: p.parameters):
        look = palette.arm(point.index)
        fig.add_scatter(
            x=[max(1, point.parameters)], y=[point.value], mode="markers", name=point.name,
            marker={"color": look.colour, "symbol": look.symbol, "size": 13},
            error_y={"type": "data", "symmetric": False, "array": [point.high - point.value], "arrayminus": [point.value - point.low],
                     "color": look.colour, "thickness": 2, "width": 6},
            hovertemplate=f"{point.name}<br>{count(point.parameters)} trained parameters<br>"
                          f"{measured(point.value, point.low, point.high)}<extra></extra>")
    fig.update_xaxes(type="log", dtick=1, tickformat="~s")
    fig.update_yaxes(tickformat=".2f")
    title = _smallest(points, metric)
    numbers = "; ".join(f"{p.name} {count(p.parameters)} parameters, {measured(p.value, p.low, p.high)}"
                        for p in sorted(points, key=lambda p: p.parameters))
    return Chart(fig, title, f"{title}. {numbers}.")


def _smallest(points: Sequence[Point], metric: str) -> str:
    if not points:
        return f"No run has a {metric} yet"
    top = max(points, key=lambda p: p.value)
    if len(points) == 1:
        return f"{top.name} trains {count(top.parameters)} parameters for a {metric} of {measured(top.value, top.low, top.high)}"
    small = min((p for p in points if p.high >= top.low), key=lambda p: p.parameters)
    return f"{small.name}, training {count(small.parameters)} parameters, is the smallest run not clearly below the best {metric}"
