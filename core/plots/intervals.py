"""Measured values with their intervals: dots in a row, and against the number of trained parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.metrics import Metric
from core.plots import palette
from core.plots.numbers import count, measured
from core.plots.palette import Arm
from core.plots.theme import Chart, axis_label, figure, plain

LONG_HEADING = 20
"""Characters from which the words behind a heading go to a line of their own, so that both fit below half a page."""


MOST_IN_LEGEND = 8
"""With more runs a legend takes the room of the chart; the dots in a row beside it name the same markers."""


CLOSE_ROW, CLOSE_ROW_OF_TWO = 16, 28
"""Pixels a row where there are more, and where a name takes two lines."""


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
    whole: str = ""
    """The whole name, for hovering; empty: `name`."""
    own_look: Arm | None = None
    """How it is drawn where the method alone does not say it."""

    @property
    def look(self) -> Arm:
        return self.own_look or palette.arm(self.index)

    @property
    def hover(self) -> str:
        return plain(self.whole or self.name)


def finding(points: Sequence[Point], metric: Metric, split: str) -> str:
    """One sentence that never names a winner whose interval overlaps another's.

    Non-overlap of two 95 % intervals is a stricter condition than a significant difference, so silence is the safe
    side; the paired test on the Compare page is the sharper instrument.
    """
    name = metric.on(split)
    if not points:
        return f"No run has a {name} yet"
    order = _best_first(points, metric)
    top = order[0]
    if len(order) == 1:
        return f"{top.name}: {name} {measured(top.value, top.low, top.high)}"
    level = [p.name for p in order if not _clearly_worse(p, top, metric)]
    worse = [p.name for p in order if _clearly_worse(p, top, metric)]
    extreme, ahead, behind = ("highest", "above", "below") if metric.higher_is_better else ("lowest", "below", "above")
    if len(level) == 1:
        return f"{top.name} has the {extreme} {name}; its interval lies {ahead} all others"
    text = f"No clear winner in {name}: the intervals of {_names(level)} overlap"
    return f"{text}; {_names(worse)} {'lies' if len(worse) == 1 else 'lie'} {behind}" if worse else text


def _best_first(points: Sequence[Point], metric: Metric) -> list[Point]:
    return sorted(points, key=lambda p: metric.sign * p.value, reverse=True)


def _clearly_worse(point: Point, top: Point, metric: Metric) -> bool:
    """Whether the interval of a point lies wholly on the worse side of the best one's."""
    return point.high < top.low if metric.higher_is_better else point.low > top.high


def _names(names: Sequence[str]) -> str:
    if len(names) > 5:
        return f"{names[0]}, {names[1]} and {len(names) - 2} more"
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def dots(points: Sequence[Point], *, metric: Metric, split: str) -> Chart:
    """One row a run, best on top: a dot at the value, a line over its 95 % interval."""
    order = _best_first(points, metric)[::-1]
    heading = metric.heading(split)
    x_title = f"{heading},{'<br>' if len(heading) > LONG_HEADING else ' '}with 95 % interval"
    few, names = len(order) <= MOST_IN_LEGEND, [axis_label(point.name) for point in order]
    close = CLOSE_ROW_OF_TWO if any("<br>" in name for name in names) else CLOSE_ROW
    fig = figure(x_title=x_title, height=110 + (38 if few else close) * max(2, len(order)), legend=False)
    places = {id(point): row for row, point in enumerate(order)}
    for part in [[point] for point in order] if few else _by_colour(order):
        colour = part[0].look.colour
        fig.add_scatter(x=_broken([(p.low, p.high) for p in part]), y=_broken([(places[id(p)],) * 2 for p in part]),
                        mode="lines", line={"color": colour, "width": 4}, hoverinfo="skip", opacity=0.55)
        fig.add_scatter(x=[p.value for p in part], y=[places[id(p)] for p in part], mode="markers", name=part[0].name,
                        marker={"color": colour, "symbol": [p.look.symbol for p in part], "size": 13 if few else 9},
                        text=[f"{p.hover}<br>{measured(p.value, p.low, p.high)}" for p in part],
                        customdata=[[p.low, p.high] for p in part], meta={"columns": ["low", "high"]},
                        hovertemplate="%{text}<extra></extra>")
    fig.update_yaxes(tickvals=list(range(len(order))), ticktext=names,
                     range=[-0.6, max(1, len(order)) - 0.4], showgrid=False)
    if order:
        low, high = min(p.low for p in order), max(p.high for p in order)
        air = 0.06 * max(high - low, 0.01)
        fig.update_xaxes(tickformat=".2f", range=[low - air, high + air])
    numbers = "; ".join(f"{p.name} {measured(p.value, p.low, p.high)}" for p in reversed(order))
    title = finding(points, metric, split)
    return Chart(fig, title, f"{title}. {numbers}.")


def _by_colour(points: Sequence[Point]) -> list[list[Point]]:
    """Drawn together: each trace of its own costs as much as hundreds of points."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.look.colour, []).append(point)
    return list(found.values())


def _broken(pieces: Sequence[tuple[float, float]]) -> list[float | None]:
    """Lines in one trace, with a gap between them."""
    return [value for piece in pieces for value in (*piece, None)][:-1]


def against_parameters(points: Sequence[Point], *, metric: Metric, split: str) -> Chart:
    """Metric against trained parameters (log); the title names the smallest run not clearly below the best."""
    fig = figure(x_title="Trained parameters (log scale)", y_title=metric.heading(split), height=400,
                 legend=len(points) <= MOST_IN_LEGEND)
    ordered = sorted(points, key=lambda p: p.parameters)
    for part in [[point] for point in ordered] if len(points) <= MOST_IN_LEGEND else _by_colour(ordered):
        colour = part[0].look.colour
        fig.add_scatter(
            x=[max(1, p.parameters) for p in part], y=[p.value for p in part], mode="markers", name=plain(part[0].name),
            marker={"color": colour, "symbol": [p.look.symbol for p in part], "size": 13},
            error_y={"type": "data", "symmetric": False, "array": [p.high - p.value for p in part],
                     "arrayminus": [p.value - p.low for p in part], "color": colour, "thickness": 2, "width": 6},
            text=[f"{p.hover}<br>{count(p.parameters)} trained parameters<br>{measured(p.value, p.low, p.high)}"
                  for p in part], hovertemplate="%{text}<extra></extra>")
    fig.update_xaxes(type="log", dtick=1, tickformat="~s")
    fig.update_yaxes(tickformat=".2f")
    title = _smallest(points, metric, split)
    numbers = "; ".join(f"{p.name} {count(p.parameters)} parameters, {measured(p.value, p.low, p.high)}"
                        for p in sorted(points, key=lambda p: p.parameters))
    return Chart(fig, title, f"{title}. {numbers}.")


def _smallest(points: Sequence[Point], metric: Metric, split: str) -> str:
    name = metric.on(split)
    if not points:
        return f"No run has a {name} yet"
    top = _best_first(points, metric)[0]
    if len(points) == 1:
        return (f"{top.name} trains {count(top.parameters)} parameters for a {name} of "
                f"{measured(top.value, top.low, top.high)}")
    small = min((p for p in points if not _clearly_worse(p, top, metric)), key=lambda p: p.parameters)
    behind = "below" if metric.higher_is_better else "above"
    return (f"{small.name}, training {count(small.parameters)} parameters, is the smallest run not clearly {behind} "
            f"the best {name}")
