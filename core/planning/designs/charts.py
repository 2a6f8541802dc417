"""How designs draw what they found; a design names one of these, or brings its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from core.domain.experiment import Arm
from core.planning import arms as looks
from core.planning.designs.found import Found
from core.plots import experiment as plots
from core.plots import intervals, palette
from core.plots.experiment import Mark
from core.plots.theme import Chart

OVER = "with 95 % intervals over rows and seeds"
ONE_SEED = "with 95 % intervals over rows, of one seed"


def how(found: Found) -> str:
    """What the intervals of its charts cover."""
    return OVER if len(found.experiment.seeds) > 1 else ONE_SEED


def dots(found: Found, splits: Sequence[str] = ("test",)) -> list[Chart]:
    """A row an arm, best on top; a chart a split that there is."""
    charts = []
    for split in splits:
        points = [intervals.Point(name=arm.label, value=score.value, low=score.low, high=score.high,
                                  index=looks.index(arm.recipe))
                  for arm in found.experiment.arms if (score := found.score(arm.name, split)) is not None]
        if points:
            chart = intervals.dots(points, metric=found.metric, split=split)
            title = f"{found.metric.heading(split)} of each arm, {how(found)}"
            charts.append(replace(chart, title=title, alt=f"{title}. {chart.alt.partition('. ')[2]}"))
    return charts


def along(*, x_title: str, log: bool = False, joined: bool = True, named: bool = False,
          line: Callable[[Found, Arm], str] | None = None, chosen: Callable[[Found], Sequence[str]] | None = None,
          splits: Sequence[str] = ("test",)) -> Callable[[Found], list[Chart]]:
    """Arms along their `x`. line: which line an arm is on; chosen: names of arms to ring; named: arms' labels stand
    under the axis."""
    def draw(found: Found) -> list[Chart]:
        ringed = set(chosen(found)) if chosen else set()
        charts = []
        for split in splits:
            marks = [mark(found, arm, split, line=line(found, arm) if line else "", chosen=arm.name in ringed)
                     for arm in found.experiment.arms if arm.x is not None and found.rows.get(arm.name, {}).get(split)]
            if marks:
                ticks = {each.x: each.label if named else f"{each.x:,g}" for each in marks} if named or log else None
                charts.append(plots.along(
                    marks, title=f"{found.metric.heading(split)} by {x_title[:1].lower()}{x_title[1:]}, {how(found)}",
                    x_title=x_title + (" (log scale)" if log else ""), y_title=found.metric.heading(split), log=log,
                    joined=joined, ticks=ticks))
        return charts

    return draw


def mark(found: Found, arm: Arm, split: str, *, line: str = "", chosen: bool = False) -> Mark:
    """An arm with its interval. The arm must have such rows."""
    score = found.score(arm.name, split)
    assert score is not None and arm.x is not None
    return Mark(line=line or found.metric.on(split), label=arm.label, x=arm.x, value=score.value, low=score.low,
                high=score.high, look=palette.arm(looks.index(arm.recipe)), chosen=chosen)
