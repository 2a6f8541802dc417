"""Learned against forgotten: titles say what intervals support, and everything is drawn."""

from __future__ import annotations

import pytest

from core.domain.run import Interval
from core.plots.learn_forget import Point, chart


def interval(value: float, half: float = 0.02) -> Interval:
    return Interval(value=value, low=value - half, high=value + half)


def point(name: str, forgot: float, learned: float, *, step: int | None = None, kept: bool = False,
          floor: float = 0.01) -> Point:
    return Point(run=name, name=name, forgot=interval(forgot), learned=interval(learned), floor=floor, step=step,
                 kept=kept)


@pytest.mark.parametrize(("points", "title"), [
    ([], "No run has measured yet what it learned and what it forgot"),
    ([point("LoRA", 0.02, -0.3)], "LoRA learned without forgetting anything that can be measured"),
    ([point("LoRA", 0.025, -0.3)], "LoRA learned without forgetting anything that can be measured"),  # in the floor
    ([point("Full", 0.1, -0.3)], "Full learned, and forgot"),
    ([point("LoRA", 0.0, -0.3), point("Full", 0.1, -0.3)],
     "LoRA learned without measurable forgetting; Full also forgot"),
    ([point("Full", 0.1, -0.3), point("None", 0.1, -0.01)],
     "Full learned, and forgot; the others did not learn more than chance would show"),
    ([point("None", 0.0, 0.0)], "Of 1 run, none learned more than chance would show"),
    ([point("None", 0.1, 0.1), point("No", 0.1, 0.1)], "Of 2 runs, none learned more than chance would show")])
def test_the_title_says_what_the_intervals_support(points: list[Point], title: str) -> None:
    assert chart(points).title == title


def test_ends_have_intervals_and_the_way_there_its_checkpoints() -> None:
    found = chart([point("A <b>", 0.01, -0.1, step=10), point("A <b>", 0.05, -0.2, step=20, kept=True),
                   point("A <b>", 0.06, -0.25)])
    _, way, end = found.figure.data
    assert list(way.x) == [0.01, 0.05] and list(way.marker.symbol) == ["circle", "circle-open"]
    assert "step 20 (kept)" in way.text[1] and "&lt;b&gt;" in way.text[0]
    assert end.error_x.array[0] == pytest.approx(0.02) and end.error_y.arrayminus[0] == pytest.approx(0.02)
    assert len(found.figure.layout.shapes) == 1  # the noise floor
    assert "panel +0.060 (+0.040 to +0.080)" in found.alt and found.alt.endswith("The noise floor is 0.010.")
