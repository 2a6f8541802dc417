"""Two measures against each other: which arms nothing beats on both (the Pareto frontier), as far as intervals tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.run import Interval
from core.metrics.words import listed
from core.plots import palette
from core.plots.palette import Arm
from core.plots.theme import Chart, figure, plain

MOST_IN_LEGEND, MOST_NAMED = 10, 4


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is drawn along it."""

    label: str
    sign: int
    """+1 where more is better, -1 where less is."""
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Point:
    """An arm."""

    name: str
    x: Interval
    y: Interval
    look: Arm
    said: str = ""
    """For hovering."""
    kind: str = ""
    """What the legend calls its colour; empty: the name."""


def dominates(one: Point, other: Point, x: Axis, y: Axis) -> bool:
    """Whether one is clearly better on one axis, and on the other clearly better or exactly equal. Where intervals
    overlap the other may be the better one: such a tie dominates nothing."""
    better = [_better(a, b, axis) for a, b, axis in ((one.x, other.x, x), (one.y, other.y, y))]
    equal = [a == b and a.low == a.high for a, b in ((one.x, other.x), (one.y, other.y))]
    return any(better) and all(b or e for b, e in zip(better, equal, strict=True))


def frontier(points: Sequence[Point], x: Axis, y: Axis) -> list[Point]:
    """Those that no other one dominates."""
    return [point for point in points if not any(dominates(other, point, x, y) for other in points)]


def _better(a: Interval, b: Interval, axis: Axis) -> bool:
    return a.low > b.high if axis.sign > 0 else a.high < b.low


def chart(points: Sequence[Point], x: Axis, y: Axis) -> Chart:
    """Every arm with its intervals along both axes; those on the frontier are filled and ringed, the others hollow."""
    ahead = frontier(points, x, y)
    fig = figure(x_title=_titled(x), y_title=_titled(y), height=430, legend=True)
    _line(fig, ahead, x, y)
    few = len(points) <= MOST_IN_LEGEND  # each trace of its own costs as much as hundreds of points
    kinds: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        kinds.setdefault((point.kind or (point.name if few else ""), point.look.colour), []).append(point)
    for (kind, colour), own in kinds.items():
        on = [point in ahead for point in own]
        fig.add_scatter(
            x=[p.x.value for p in own], y=[p.y.value for p in own], mode="markers", name=plain(kind),
            showlegend=bool(kind) and len(kinds) <= MOST_IN_LEGEND, error_x=_bars([p.x for p in own], colour),
            error_y=_bars([p.y for p in own], colour),
            marker={"color": colour, "size": [13 if is_on else 10 for is_on in on],
                    "symbol": [p.look.symbol if is_on else f"{p.look.symbol}-open"
                               for p, is_on in zip(own, on, strict=True)],
                    "line": {"width": [2.5 if is_on else 1.5 for is_on in on],
                             "color": [palette.TRAINING if is_on else colour for is_on in on]}},
            text=[f"{plain(p.name)}<br>{plain(p.said)}{'<br>on the frontier' if is_on else ''}"
                  for p, is_on in zip(own, on, strict=True)], hovertemplate="%{text}<extra></extra>")
    for axis, update in ((x, fig.update_xaxes), (y, fig.update_yaxes)):
        update(type="log", tickformat="~s") if axis.log else update(tickformat=".3~g")
    title = finding(points, ahead, x, y)
    numbers = "; ".join(f"{p.name}: {p.said}{', on the frontier' if p in ahead else ''}" for p in points)
    return Chart(fig, title, f"{title}. {numbers}.")


def finding(points: Sequence[Point], ahead: Sequence[Point], x: Axis, y: Axis) -> str:
    """Which arms nothing beats, in one sentence."""
    what = f"{_small(y.label)} and {_small(x.label)}"
    if not points:
        return f"No run has both {what}"
    if len(ahead) == len(points):
        return ("One arm has both " + what if len(points) == 1 else
                f"No arm is beaten on {what} together, as far as the intervals tell")
    names = [point.name for point in ahead]
    said = listed(names if len(names) <= MOST_NAMED else [*names[:MOST_NAMED], f"{len(names) - MOST_NAMED} more"])
    beaten = len(points) - len(ahead)
    return f"Not beaten on {what} together: {said}; the other{f' {beaten} are' if beaten > 1 else ' one is'}"


def _small(label: str) -> str:
    return label[:1].lower() + label[1:]


def _titled(axis: Axis) -> str:
    return f"{axis.label} ({'more' if axis.sign > 0 else 'less'} is better{', log scale' if axis.log else ''})"


def _line(fig: object, ahead: Sequence[Point], x: Axis, y: Axis) -> None:
    """Through those of the frontier whose values alone nothing beats, from left to right."""
    def beats(one: Point, other: Point) -> bool:
        gains = [axis.sign * (a.value - b.value) for a, b, axis in ((one.x, other.x, x), (one.y, other.y, y))]
        return min(gains) >= 0 and max(gains) > 0

    ordered = sorted((point for point in ahead if not any(beats(other, point) for other in ahead)),
                     key=lambda point: point.x.value)
    if len(ordered) > 1:
        fig.add_scatter(  # type: ignore[attr-defined]
            x=[point.x.value for point in ordered], y=[point.y.value for point in ordered], mode="lines",
            name="frontier", hoverinfo="skip", opacity=0.7,
            line={"color": palette.BASE, "width": 1.5, "dash": "dot"})


def _bars(found: Sequence[Interval], colour: str) -> dict[str, object]:
    return {"type": "data", "symmetric": False, "array": [each.high - each.value for each in found],
            "arrayminus": [each.value - each.low for each in found], "color": colour, "thickness": 1.5, "width": 4}
