"""Learning curves of a run from its event stream: the whole run, at most a thousand points a curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.run import Event

MAX_POINTS = 1000

Point = dict[str, Any]
"""The data of one `step` or `eval` event."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Points in the order of training. Keys as in `Event.kind`: step, loss, seconds, samples, and every metric by
    name."""

    steps: list[Point]
    evals: list[Point]


def from_events(events: Sequence[Event]) -> Curves:
    """Fold a stream of events; what a resumed run did again after its checkpoint replaces what it had done before."""
    steps: list[Point] = []
    evals: list[Point] = []
    for event in events:
        if event.kind == "step" and "step" in event.data and "loss" in event.data:
            _drop_from(steps, event.data["step"])
            steps.append(event.data)
        elif event.kind == "eval" and "step" in event.data:
            _drop_from(evals, event.data["step"])
            evals.append(event.data)
    return Curves(steps=thin(steps), evals=thin(evals))


def _drop_from(points: list[Point], step: float) -> None:
    """Remove points at or after a step: training went back to a checkpoint before them."""
    while points and points[-1]["step"] >= step:
        points.pop()


def thin(points: list[Point], limit: int = MAX_POINTS) -> list[Point]:
    """At most `limit` points over the whole length: first, last, and of each stretch the lowest and highest loss, so
    spikes stay."""
    if len(points) <= limit:
        return points
    inner, stretches = points[1:-1], (limit - 2) // 2
    kept: list[Point] = [points[0]]
    for i in range(stretches):
        part = range(i * len(inner) // stretches, (i + 1) * len(inner) // stretches)
        chosen = {min(part, key=lambda k: _loss(inner[k])), max(part, key=lambda k: _loss(inner[k]))}
        kept.extend(inner[k] for k in sorted(chosen))
    return [*kept, points[-1]]


def _loss(point: Point) -> float:
    value = point.get("loss")
    return float(value) if isinstance(value, (int, float)) else 0.0
