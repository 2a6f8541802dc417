"""Which arms nothing beats on two measures: planted orders are found, ties within intervals dominate nothing."""

from __future__ import annotations

import itertools

from core.domain.run import Interval
from core.plots import palette, pareto
from core.plots.pareto import Axis, Point

COST, SCORE = Axis(label="Seconds", sign=-1, log=True), Axis(label="Test accuracy", sign=1)


def point(name: str, cost: float, score: float, *, half: float = 0.01, exact: bool = True) -> Point:
    spread = 0.0 if exact else 0.2 * cost
    return Point(name=name, x=Interval(value=cost, low=cost - spread, high=cost + spread), look=palette.arm(0),
                 y=Interval(value=score, low=score - half, high=score + half))


def named(*points: Point) -> set[str]:
    return {each.name for each in pareto.frontier(points, COST, SCORE)}


def test_what_is_dearer_and_worse_is_off_the_frontier() -> None:
    assert named(point("cheap", 1, 0.7), point("good", 10, 0.9), point("neither", 20, 0.8)) == {"cheap", "good"}
    assert named(point("both", 1, 0.9), point("other", 2, 0.8)) == {"both"}


def test_a_tie_within_intervals_dominates_nothing() -> None:
    near = point("near", 10, 0.895)
    assert named(point("best", 1, 0.90), near) == {"best", "near"}, "near may be the more accurate one"
    assert named(point("best", 9, 0.90, exact=False), point("clear", 10, 0.6, exact=False)) == {"best", "clear"}
    assert named(point("same", 5, 0.9), point("worse", 5, 0.7)) == {"same"}, "exactly the same price is no tie"
    assert named(*(point(str(n), 5, 0.9) for n in range(3))) == {"0", "1", "2"}


def test_nothing_dominates_itself_or_in_a_circle() -> None:
    points = [point(f"{c} {s}", c, s) for c, s in itertools.product((1, 2, 3), (0.5, 0.6, 0.605))]
    for one, other in itertools.product(points, repeat=2):
        assert not (pareto.dominates(one, other, COST, SCORE) and pareto.dominates(other, one, COST, SCORE))
    assert named(*points), "the frontier is never empty"


def test_the_chart_names_and_marks_the_frontier() -> None:
    chart = pareto.chart([point("LoRA", 1, 0.7), point("Full", 10, 0.9), point("QLoRA", 20, 0.8)], COST, SCORE)
    assert chart.title == "Not beaten on test accuracy and seconds together: LoRA and Full; the other one is"
    by_name = {trace.name: trace for trace in chart.figure.data}
    assert by_name["QLoRA"].marker.symbol[0].endswith("-open") and not by_name["Full"].marker.symbol[0].endswith("open")
    assert list(by_name["frontier"].x) == [1, 10] and chart.figure.layout.xaxis.type == "log"
    assert "LoRA" in chart.alt and "on the frontier" in chart.alt
    near = pareto.chart([point("a", 1, 0.9), point("b", 2, 0.895), point("c", 3, 0.95)], COST, SCORE)
    line = next(trace for trace in near.figure.data if trace.name == "frontier")
    assert list(line.x) == [1, 3], "b is not beaten for sure, and no step of the way"
    tied = pareto.chart([point("a", 1, 0.9), point("b", 2, 0.9)], COST, SCORE)
    assert tied.title.startswith("No arm is beaten")
    assert pareto.chart([], COST, SCORE).title.startswith("No run has both")
