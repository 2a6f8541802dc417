"""An input on the map: the rows stay where they are, the star is where it was placed, the title says among which."""

from __future__ import annotations

import numpy as np
import pytest

from core.plots import drawn_numbers, palette, placed
from core.plots.shift_map import Colouring

CLASSES = ("money", "sport", "tech")


def colouring(values: list[float]) -> Colouring:
    return Colouring(title="Label", values=np.array(values), classes=CLASSES)


def test_rows_star_and_lines_are_where_they_were_given(positions: tuple[np.ndarray, np.ndarray]) -> None:
    rows, near = positions[0], [7, 3, 100]
    chart = placed.chart(rows, colouring([at % 3 for at in range(120)]), place=(9.0, -4.0), near=near,
                         distances=[0.1, 0.2, 0.3], hover=[f"row {at}" for at in range(120)], seen_by="the run",
                         shown=0.42)
    pale, *others = chart.figure.data
    np.testing.assert_array_equal(pale.x, rows[:, 0])
    assert pale.marker.opacity < 0.5 and list(pale.marker.color)[1] == palette.arm(1).colour
    lines = [trace for trace in others if trace.mode == "lines"]
    assert [tuple(trace.x) for trace in lines] == [(9.0, rows[at, 0]) for at in near]
    [star] = [trace for trace in others if trace.name == "your input"]
    assert (star.x[0], star.y[0], star.marker.symbol) == (9.0, -4.0, "star")
    [bright] = [trace for trace in others if trace.marker.opacity == 1 and len(trace.x) == 3]
    np.testing.assert_array_equal(bright.y, rows[near, 1])
    low, high = chart.figure.layout.xaxis.range
    assert low < rows[:, 0].min() and high > 9.0, "an input far outside is in the picture"
    assert "42 %" in chart.alt and "star" in chart.alt and chart.title in chart.alt
    assert any(record.get("x") == 9.0 for record in drawn_numbers.records(chart.figure))


@pytest.mark.parametrize(("near", "distances", "said"), [
    ([1, 1, 1], [0.2, 0.3, 0.3], "It lands among sport: all 3 nearest rows are of this class"),
    ([1, 0, 1], [0.2, 0.3, 0.3], "It lands among sport: 2 of the 3 nearest rows are of this class"),
    ([1, 0, 2], [0.2, 0.3, 0.3], "It lands between sport and money"),
    ([2, 0, 0], [1e-6, 0.3, 0.3], "It lands on a row of the map of tech"),
    ([-1, -1, -1], [0.2, 0.3, 0.3], "It lands among rows without a class"),
    ([1, -1, -1], [0.2, 0.3, 0.3], "It lands near sport: 1 of the 3 nearest rows are of this class"),
])
def test_the_title_says_where_it_lands(near: list[float], distances: list[float], said: str) -> None:
    assert placed.landing(colouring(near), [0, 1, 2], distances) == said


def test_of_rows_without_classes_the_title_says_how_far_the_nearest_lies() -> None:
    plain = Colouring(title="Label", values=np.array([-1.0, -1.0]), classes=())
    assert placed.landing(plain, [0, 1], [0.214, 0.3]) == "The row nearest to it lies at a cosine distance of 0.21"
    assert placed.landing(plain, [0, 1], [1e-6, 0.3]) == "It lands on a row of the map"


def test_of_many_classes_only_those_nearby_are_named() -> None:
    rows = np.random.default_rng(0).standard_normal((60, 2))
    many = Colouring(title="Label", values=np.arange(60.0) % 20, classes=tuple(f"class {at}" for at in range(20)))
    chart = placed.chart(rows, many, place=(0.0, 0.0), near=[4, 24, 5], distances=[0.1] * 3, hover=[""] * 60,
                         seen_by="x", shown=1.0)
    assert {trace.name for trace in chart.figure.data if trace.name} == {"your input", "class 4", "class 5"}
