"""A learner's prediction beside what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.run import Interval
from core.metrics import Metric
from core.plots import palette
from core.plots.numbers import measured
from core.plots.palette import Arm
from core.plots.theme import Chart, axis_label, figure, plain

PREDICTED, MEASURED, POOLED = "your prediction", "measured", "measured, all runs of the room"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an arm stands on a curve, of lessons whose arms lie along an axis."""

    curve: str
    x: float
    look: Arm


def drawn(labels: Mapping[str, str], predicted: Mapping[str, float], found: Mapping[str, Interval], *, metric: Metric,
          split: str, limits: tuple[float, float], joined: bool = False, places: Mapping[str, Place] | None = None,
          x_title: str = "") -> Chart:
    """Hollow marks are predictions, filled ones with 95 % intervals what was measured. A place an arm, in the
    experiment's order; with `places`, a curve for each of their names along a logarithmic axis.

    labels: arm -> what stands below it; joined: whether the arms have an order of their own.
    """
    arms = list(labels)
    fig = figure(x_title=x_title, y_title=metric.heading(split), height=380)
    for curve, own in _curves(arms, places or {}).items():
        for values, name in ((predicted, PREDICTED), (found, MEASURED)):
            there = {arm: x for arm, x in own.items() if arm in values}
            if there:
                look = places[next(iter(there))].look if places else None
                marks = (_guessed(labels, predicted, list(there), look) if name is PREDICTED else
                         _measured(labels, found, list(there), look))
                fig.add_scatter(x=list(there.values()), mode="lines+markers" if joined or places else "markers",
                                name=plain(f"{curve}, {name}" if curve else name),
                                hovertemplate="%{text}<extra></extra>", **marks)
    said = []
    for arm in arms:
        parts = ([f"predicted {predicted[arm]:.2f}"] if arm in predicted else []) + (
            [f"measured {_text(found[arm])}"] if arm in found else [])
        said += [f"{labels[arm]}: {', '.join(parts)}"] if parts else []
    if places:
        ticks = sorted({place.x for place in places.values()})
        fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{x:,g}" for x in ticks],
                         range=[math.log10(0.85 * ticks[0]), math.log10(ticks[-1] / 0.85)])
    else:
        fig.update_xaxes(tickvals=list(range(len(arms))), ticktext=[_in_lines(labels[arm]) for arm in arms],
                         range=[-0.5, len(arms) - 0.5])
    fig.update_yaxes(range=list(limits), tickformat=".2f")
    fig.update_traces(cliponaxis=False)
    title = f"{metric.heading(split)}: " + ("your prediction and the measurement" if predicted and found else
                                            "your prediction" if predicted else "the measurement")
    return Chart(fig, title, f"{title}. {'; '.join(said)}.")


def _curves(arms: Sequence[str], places: Mapping[str, Place]) -> dict[str, dict[str, float]]:
    """Curve -> its arms and where they stand; one without a name where there are no places."""
    if not places:
        return {"": {arm: float(number) for number, arm in enumerate(arms)}}
    found: dict[str, dict[str, float]] = {}
    for arm in sorted(places, key=lambda arm: places[arm].x):
        found.setdefault(places[arm].curve, {})[arm] = places[arm].x
    return {name: found[name] for name in dict.fromkeys(place.curve for place in places.values())}


def _guessed(labels: Mapping[str, str], predicted: Mapping[str, float], arms: Sequence[str],
             look: Arm | None) -> dict[str, Any]:
    colour, symbol = (look.colour, look.symbol) if look else (palette.FROZEN, "circle")
    return {"y": [predicted[arm] for arm in arms], "line": {"color": colour, "width": 2, "dash": "dot"},
            "marker": {"color": colour, "size": 12, "symbol": f"{symbol}-open", "line": {"width": 3}},
            "text": [f"{plain(labels[arm])}<br>predicted {predicted[arm]:.2f}" for arm in arms]}


def _measured(labels: Mapping[str, str], found: Mapping[str, Interval], arms: Sequence[str],
              look: Arm | None) -> dict[str, Any]:
    colour, symbol = (look.colour, look.symbol) if look else (palette.TRAINING, "circle")
    return {"y": [found[arm].value for arm in arms], "line": {"color": colour, "width": 2},
            "marker": {"color": colour, "size": 10, "symbol": symbol},
            "error_y": {"type": "data", "symmetric": False, "width": 6, "thickness": 2, "color": colour,
                        "array": [found[arm].high - found[arm].value for arm in arms],
                        "arrayminus": [found[arm].value - found[arm].low for arm in arms]},
            "text": [f"{plain(labels[arm])}<br>{_text(found[arm])}" for arm in arms]}


def spread(labels: Mapping[str, str], predictions: Sequence[Mapping[str, float]], found: Mapping[str, Interval], *,
           metric: Metric, split: str, limits: tuple[float, float], scale: float = 1.0) -> Chart:
    """What a room predicts: of each arm a box with a dot a person, and what was measured over it. scale: of letters
    and marks, for a projector."""
    arms = list(labels)
    fig = figure(y_title=metric.heading(split), height=round(380 * max(1.0, scale)))
    said: list[str] = []
    for place, arm in enumerate(arms):
        own = [each[arm] for each in predictions if arm in each]
        if own:
            fig.add_box(x=[place] * len(own), y=own, name=f"{len(predictions)} predictions", legendgroup="predictions",
                        showlegend=not said, boxpoints="all", jitter=0.4, pointpos=0, fillcolor="rgba(0,0,0,0)",
                        line={"color": palette.FROZEN, "width": 2}, marker={"color": palette.FROZEN,
                                                                            "size": round(7 * scale), "opacity": 0.6},
                        hoverinfo="y")
            measurement = f", measured {_text(found[arm])}" if arm in found else ""
            said.append(f"{labels[arm]}: {len(own)} predictions from {min(own):.2f} to {max(own):.2f}, half of them "
                        f"below {statistics.median(own):.2f}{measurement}")
    there = [(place, arm) for place, arm in enumerate(arms) if arm in found]
    if there:
        fig.add_scatter(
            x=[place for place, _ in there], y=[found[arm].value for _, arm in there], mode="markers", name=POOLED,
            marker={"color": palette.TRAINING, "size": round(13 * scale), "symbol": "diamond"},
            error_y={"type": "data", "symmetric": False, "width": 8, "thickness": 3,
                     "array": [found[arm].high - found[arm].value for _, arm in there],
                     "arrayminus": [found[arm].value - found[arm].low for _, arm in there]},
            text=[f"{plain(labels[arm])}<br>{_text(found[arm])}" for _, arm in there],
            hovertemplate="%{text}<extra></extra>")
    fig.update_xaxes(tickvals=list(range(len(arms))), ticktext=[_in_lines(labels[arm]) for arm in arms],
                     range=[-0.5, len(arms) - 0.5])
    fig.update_yaxes(range=list(limits), tickformat=".2f")
    if scale != 1:
        for axis in (fig.layout.xaxis, fig.layout.yaxis):
            axis.tickfont.size, axis.title.font.size = round(13 * scale), round(14 * scale)
        fig.update_layout(legend_font_size=round(13 * scale))
    people = f"{len(predictions)} {'person' if len(predictions) == 1 else 'people'}"
    title = f"{metric.heading(split)}: what {people} predict" + (", and what their runs measured" if there else "")
    return Chart(fig, title, f"{title}. {'; '.join(said)}.")


def _text(found: Interval) -> str:
    return measured(found.value, found.low, found.high)


def _in_lines(label: str) -> str:
    """Below the axis: what comes behind a comma gets a line of its own, or the names of many arms would be cut."""
    return "<br>".join(axis_label(part) for part in label.split(", "))
