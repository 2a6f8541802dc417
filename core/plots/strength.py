"""Scores over a strength dial: a line and a band a set of rows, the model as trained marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.run import Interval
from core.metrics import Metric, Unit
from core.plots import palette
from core.plots.numbers import measured
from core.plots.theme import Chart, figure, fixed_room, subplots


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one set of rows says."""

    label: str
    metric: Metric
    at: Sequence[float]
    values: Sequence[Interval]


LOOKS = (palette.Arm(palette.BASE, "square", "dash"), palette.arm(0), palette.Arm(palette.TRAINING, "diamond", "solid"))
"""Of the sets on one panel: what chooses is grey, what judges is coloured."""


def chart(lines: Sequence[Line], *, x_title: str, trained_at: float, base_at: float | None, chosen: float,
          title: str) -> Chart:
    """A panel a metric, one below the other. trained_at, base_at: where the dial stands in these two models; chosen:
    where it stands now."""
    panels = list(dict.fromkeys(line.metric.name for line in lines))
    fig = figure(height=100 + 260 * len(panels))
    subplots(fig, rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.1)
    for row, name in enumerate(panels, 1):
        for look, line in zip(LOOKS, [each for each in lines if each.metric.name == name], strict=False):
            _line(fig, line, look, row)
        metric = next(line.metric for line in lines if line.metric.name == name)
        share = metric.unit is Unit.SHARE
        fig.update_yaxes(title={"text": metric.label[0].upper() + metric.label[1:]}, row=row, col=1,
                         tickformat=".0%" if share else None)
        _mark(fig, trained_at, palette.TRAINING, "as trained", row)
        if base_at is not None:
            _mark(fig, base_at, palette.BASE, "base", row)
        fig.add_vline(x=chosen, row=row, col=1, line={"color": palette.FROZEN, "width": 6}, opacity=0.35)
    fixed_room(fig, top=40, bottom=56)
    fig.update_xaxes(title={"text": x_title}, row=len(panels), col=1)
    said = ". ".join(f"{line.label}, {line.metric.label}: {_listed(line)}" for line in lines)
    return Chart(fig, title, f"{title}. {said}. Bands are 95 % intervals; the model as trained stands at "
                             f"{trained_at:g}.")


def _listed(line: Line) -> str:
    return ", ".join(f"{at:g} {measured(value.value, value.low, value.high)}"
                     for at, value in zip(line.at, line.values, strict=True))


def _line(fig: Any, line: Line, look: palette.Arm, row: int) -> None:
    form = "%{y:.1%}" if line.metric.unit is Unit.SHARE else "%{y:.3f}"
    band = {"fill": "toself", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False,
            "fillcolor": palette.fade(look.colour, 0.13)}
    fig.add_scatter(x=[*line.at, *reversed(line.at)], row=row, col=1,
                    y=[*(v.high for v in line.values), *(v.low for v in reversed(line.values))], **band)
    fig.add_scatter(x=list(line.at), y=[v.value for v in line.values], name=line.label, mode="lines+markers", row=row,
                    col=1, line={"color": look.colour, "width": 2, "dash": look.dash},
                    marker={"symbol": look.symbol, "size": 8},
                    hovertemplate=f"{line.label} at %{{x:g}}: {form}<extra></extra>")


def _mark(fig: Any, at: float, colour: str, text: str, row: int) -> None:
    fig.add_vline(x=at, row=row, col=1, line={"color": colour, "width": 1.5, "dash": "dot"}, annotation_text=text,
                  annotation_position="bottom right", annotation_font_size=12)
