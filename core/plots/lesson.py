"""A learner's prediction beside what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from core.domain.run import Interval
from core.metrics import Metric
from core.plots import palette
from core.plots.numbers import measured
from core.plots.theme import Chart, axis_label, figure, plain

PREDICTED, MEASURED, POOLED = "your prediction", "measured", "measured, all runs of the room"


def drawn(labels: Mapping[str, str], predicted: Mapping[str, float], found: Mapping[str, Interval], *, metric: Metric,
          split: str, limits: tuple[float, float], joined: bool) -> Chart:
    """A place an arm, in the experiment's order: hollow circles are predictions, filled ones with 95 % intervals what
    was measured. labels: arm -> what stands below it; joined: whether the arms have an order of their own."""
    arms, mode = list(labels), "lines+markers" if joined else "markers"
    fig = figure(y_title=metric.heading(split), height=380)
    said = []
    if predicted:
        there = [(place, arm) for place, arm in enumerate(arms) if arm in predicted]
        fig.add_scatter(x=[place for place, _ in there], y=[predicted[arm] for _, arm in there], mode=mode,
                        name=PREDICTED, line={"color": palette.FROZEN, "width": 2, "dash": "dot"},
                        marker={"color": palette.FROZEN, "size": 12, "symbol": "circle-open", "line": {"width": 3}},
                        text=[f"{plain(labels[arm])}<br>predicted {predicted[arm]:.2f}" for _, arm in there],
                        hovertemplate="%{text}<extra></extra>")
    there = [(place, arm) for place, arm in enumerate(arms) if arm in found]
    if there:
        fig.add_scatter(
            x=[place for place, _ in there], y=[found[arm].value for _, arm in there], mode=mode, name=MEASURED,
            line={"color": palette.TRAINING, "width": 2}, marker={"color": palette.TRAINING, "size": 10},
            error_y={"type": "data", "symmetric": False, "width": 6, "thickness": 2,
                     "array": [found[arm].high - found[arm].value for _, arm in there],
                     "arrayminus": [found[arm].value - found[arm].low for _, arm in there]},
            text=[f"{plain(labels[arm])}<br>{_text(found[arm])}" for _, arm in there],
            hovertemplate="%{text}<extra></extra>")
    for arm in arms:
        parts = ([f"predicted {predicted[arm]:.2f}"] if arm in predicted else []) + (
            [f"measured {_text(found[arm])}"] if arm in found else [])
        said += [f"{labels[arm]}: {', '.join(parts)}"] if parts else []
    fig.update_xaxes(tickvals=list(range(len(arms))), ticktext=[_in_lines(labels[arm]) for arm in arms],
                     range=[-0.5, len(arms) - 0.5])
    fig.update_yaxes(range=list(limits), tickformat=".2f")
    fig.update_traces(cliponaxis=False)
    title = f"{metric.heading(split)}: " + ("your prediction and the measurement" if predicted and found else
                                            "your prediction" if predicted else "the measurement")
    return Chart(fig, title, f"{title}. {'; '.join(said)}.")


def spread(labels: Mapping[str, str], predictions: Sequence[Mapping[str, float]], found: Mapping[str, Interval], *,
           metric: Metric, split: str, limits: tuple[float, float], scale: float = 1.0) -> Chart:
    """What a room predicts: of each arm a box with a dot a person, and what was measured over it. scale: of letters,
    for a projector."""
    arms = list(labels)
    fig = figure(y_title=metric.heading(split), height=round(380 * max(1.0, scale)))
    said: list[str] = []
    for place, arm in enumerate(arms):
        own = [each[arm] for each in predictions if arm in each]
        if own:
            fig.add_box(x=[place] * len(own), y=own, name=f"{len(predictions)} predictions", legendgroup="predictions",
                        showlegend=not said, boxpoints="all", jitter=0.4, pointpos=0, fillcolor="rgba(0,0,0,0)",
                        line={"color": palette.FROZEN, "width": 2}, marker={"color": palette.FROZEN, "size": 7,
                                                                            "opacity": 0.6}, hoverinfo="y")
            measurement = f", measured {_text(found[arm])}" if arm in found else ""
            said.append(f"{labels[arm]}: {len(own)} predictions from {min(own):.2f} to {max(own):.2f}, half of them "
                        f"below {statistics.median(own):.2f}{measurement}")
    there = [(place, arm) for place, arm in enumerate(arms) if arm in found]
    if there:
        fig.add_scatter(
            x=[place for place, _ in there], y=[found[arm].value for _, arm in there], mode="markers", name=POOLED,
            marker={"color": palette.TRAINING, "size": 13, "symbol": "diamond"},
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
