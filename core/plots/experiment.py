"""Charts of an experiment: arms along an axis with intervals, and the seeds of each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.metrics import Metric
from core.plots import palette
from core.plots.numbers import measured
from core.plots.palette import Arm
from core.plots.theme import Chart, axis_label, figure, plain

CHOSEN_SIZE, SIZE = 15, 9


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One arm on one line."""

    line: str
    label: str
    x: float
    value: float
    low: float
    high: float
    look: Arm
    chosen: bool = False


def along(marks: Sequence[Mark], *, title: str, x_title: str, y_title: str, log: bool = False, joined: bool = True,
          ticks: Mapping[float, str] | None = None) -> Chart:
    """One line a `Mark.line` over x, each point with its interval; chosen ones are ringed. ticks: x -> what stands
    there."""
    fig = figure(x_title=x_title, y_title=y_title, height=400)
    said = []
    for line in dict.fromkeys(mark.line for mark in marks):
        own = sorted((mark for mark in marks if mark.line == line), key=lambda mark: mark.x)
        look = own[0].look
        fig.add_scatter(
            x=[mark.x for mark in own], y=[mark.value for mark in own], name=plain(line),
            mode="lines+markers" if joined else "markers", line={"color": look.colour, "width": 2, "dash": look.dash},
            marker={"color": look.colour, "symbol": look.symbol,
                    "size": [CHOSEN_SIZE if mark.chosen else SIZE for mark in own],
                    "line": {"width": [3 if mark.chosen else 0 for mark in own], "color": palette.TRAINING}},
            error_y={"type": "data", "symmetric": False, "array": [mark.high - mark.value for mark in own],
                     "arrayminus": [mark.value - mark.low for mark in own], "color": look.colour, "thickness": 2,
                     "width": 5},
            text=[f"{plain(mark.label)}<br>{_text(mark)}{'<br>chosen' if mark.chosen else ''}" for mark in own],
            hovertemplate="%{text}<extra></extra>")
        said.append(f"{line}: " + ", ".join(
            f"{mark.label} {_text(mark)}{' (chosen)' if mark.chosen else ''}" for mark in own))
    if ticks:
        fig.update_xaxes(tickvals=list(ticks), ticktext=[axis_label(name) for name in ticks.values()])
    if log:
        fig.update_xaxes(type="log")
    fig.update_traces(cliponaxis=False)
    fig.update_yaxes(tickformat=".2f")
    return Chart(fig, title, f"{title}. {'; '.join(said)}.")


def with_curve(chart: Chart, name: str, x: Sequence[float], y: Sequence[float], look: Arm) -> Chart:
    """The same chart with a fitted curve behind its points."""
    chart.figure.add_scatter(x=list(x), y=list(y), mode="lines", name=plain(name), hoverinfo="skip",
                             line={"color": look.colour, "width": 1, "dash": "dot"})
    return chart


def seeds(values: Mapping[str, Sequence[float]], looks: Mapping[str, Arm], *, metric: Metric, split: str,
          title: str) -> Chart:
    """One row an arm: a dot a seed, a line from the lowest to the highest, a bar at the mean."""
    fig = figure(x_title=metric.heading(split), height=110 + 44 * max(2, len(values)), legend=False)
    for row, (name, own) in enumerate(values.items()):
        colour, mean = looks[name].colour, sum(own) / len(own)
        fig.add_scatter(x=[min(own), max(own)], y=[row, row], mode="lines", line={"color": colour, "width": 4},
                        hoverinfo="skip", opacity=0.4)
        fig.add_scatter(x=list(own), y=[row] * len(own), mode="markers", name=plain(name),
                        marker={"color": colour, "symbol": looks[name].symbol, "size": 11, "opacity": 0.8},
                        text=[f"{plain(name)}, seed {seed}<br>{value:.3f}" for seed, value in enumerate(own)],
                        hovertemplate="%{text}<extra></extra>")
        fig.add_scatter(x=[mean], y=[row], mode="markers", marker={"symbol": "line-ns", "size": 22,
                                                                   "line": {"width": 3, "color": colour}},
                        hovertemplate=f"mean {mean:.3f}<extra></extra>")
    fig.update_yaxes(tickvals=list(range(len(values))), ticktext=[axis_label(name) for name in values],
                     range=[-0.6, max(1, len(values)) - 0.4], showgrid=False)
    said = "; ".join(f"{name}: " + ", ".join(f"{value:.3f}" for value in own) for name, own in values.items())
    return Chart(fig, title, f"{title}. {said}.")


def _text(mark: Mark) -> str:
    return measured(mark.value, mark.low, mark.high)
