"""What runs learned against what they forgot: each arm as it ended, and the way there over its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.run import Interval
from core.metrics import words
from core.plots import palette
from core.plots.theme import Chart, figure, plain

MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run as it ended, or one of its checkpoints; both changes against the untouched model, in nats a token."""

    run: str
    name: str
    forgot: Interval
    """Change in loss on the forgetting panel: higher is worse."""
    learned: Interval
    """Change in loss on the task's rows: lower is better."""
    floor: float = 0.0
    """Noise floor of what was forgotten."""
    index: int = 0
    """Colour index of the arm."""
    step: int | None = None
    """None: as the run ended."""
    kept: bool = False
    """Of a checkpoint: whether it is the one that was kept."""

    @property
    def forgets(self) -> bool:
        """Whether interval and noise floor support saying that it forgot."""
        return self.forgot.low > self.floor

    @property
    def learns(self) -> bool:
        """Whether its interval supports saying that it learned."""
        return self.learned.high < 0


def chart(points: Sequence[Point]) -> Chart:
    """A marker with both intervals where a run ended, small ones on a line through its checkpoints; the band is the
    noise floor."""
    fig = figure(x_title="Forgotten: change in loss on the panel<br>(nats a token, 95 % interval)", height=430,
                 y_title="Learned: change in loss on the task (nats a token)", legend=True)
    ends = [point for point in points if point.step is None]
    floor = max((point.floor for point in ends), default=0.0)
    if floor > 0:
        fig.add_vrect(x0=-floor, x1=floor, fillcolor=palette.fade(palette.BASE, 0.18), line_width=0, layer="below")
    fig.add_scatter(x=[0.0], y=[0.0], mode="markers", name="untouched model", hovertemplate="untouched model"
                    "<extra></extra>", marker={"color": palette.BASE, "symbol": "cross-thin", "size": 14,
                                               "line": {"width": 3, "color": palette.BASE}})
    for end in ends:
        _way(fig, end, [point for point in points if point.run == end.run and point.step is not None])
        _end(fig, end)
    fig.update_xaxes(tickformat="+~g", nticks=7)  # as many digits as tell the ticks apart
    fig.update_yaxes(tickformat="+~g")
    title = finding(ends)
    numbers = "; ".join(f"{end.name}: task {_signed(end.learned)}, panel {_signed(end.forgot)}" for end in ends)
    band = f" The noise floor is {floor:.3f}." if floor > 0 else ""
    return Chart(fig, title, f"{title}. {numbers}.{band}" if ends else f"{title}.")


def _way(fig: object, end: Point, steps: list[Point]) -> None:
    look = palette.arm(end.index)
    if steps:
        ordered = sorted(steps, key=lambda point: point.step or 0)
        fig.add_scatter(  # type: ignore[attr-defined]
            x=[point.forgot.value for point in ordered], y=[point.learned.value for point in ordered],
            mode="lines+markers", showlegend=False, opacity=0.6,
            line={"color": look.colour, "width": 1.5, "dash": "dot"},
            marker={"color": look.colour, "size": [10 if point.kept else 6 for point in ordered],
                    "symbol": ["circle-open" if point.kept else "circle" for point in ordered]},
            text=[f"{plain(end.name)}, step {point.step}{' (kept)' if point.kept else ''}<br>"
                  f"task {_signed(point.learned)}<br>panel {_signed(point.forgot)}" for point in ordered],
            hovertemplate="%{text}<extra></extra>")


def _end(fig: object, end: Point) -> None:
    look = palette.arm(end.index)
    bars = {axis: {"type": "data", "symmetric": False, "array": [_gap(value.value, value.high)],
                   "arrayminus": [_gap(value.low, value.value)], "color": look.colour, "thickness": 2, "width": 5}
            for axis, value in (("error_x", end.forgot), ("error_y", end.learned))}
    fig.add_scatter(  # type: ignore[attr-defined]
        x=[end.forgot.value], y=[end.learned.value], mode="markers", name=plain(end.name), **bars,
        marker={"color": look.colour, "symbol": look.symbol, "size": 13},
        hovertemplate=f"{plain(end.name)}<br>task {_signed(end.learned)}<br>panel {_signed(end.forgot)}"
                      "<extra></extra>")


def finding(ends: Sequence[Point]) -> str:
    """One sentence that intervals and noise floor support."""
    if not ends:
        return "No run has measured yet what it learned and what it forgot"
    clean = [end.name for end in ends if end.learns and not end.forgets]
    costly = [end.name for end in ends if end.learns and end.forgets]
    if not clean and not costly:
        return f"Of {len(ends)} {'run' if len(ends) == 1 else 'runs'}, none learned more than chance would show"
    if not costly:
        return f"{_names(clean)} learned without forgetting anything that can be measured"
    if not clean:
        return f"{_names(costly)} learned, and forgot" if len(ends) == len(costly) else (
            f"{_names(costly)} learned, and forgot; the others did not learn more than chance would show")
    return f"{_names(clean)} learned without measurable forgetting; {_names(costly)} also forgot"


def _names(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMED:
        return f"{names[0]}, {names[1]} and {len(names) - 2} more"
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _gap(low: float, high: float) -> float:
    return high - low if math.isfinite(high - low) else 0.0


def _signed(change: Interval) -> str:
    if change.low == change.high:
        return words.signed(change.value, 3)
    return words.change(change, 3)
