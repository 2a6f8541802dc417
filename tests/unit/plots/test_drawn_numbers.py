"""The numbers of a chart: values, bounds and names as they are drawn."""

from __future__ import annotations

import pytest

from core.metrics import REGISTRY
from core.plots import confusion, curves, drawn_numbers, intervals
from core.plots.intervals import Point

ACCURACY = REGISTRY["accuracy"]


def points(count: int) -> list[Point]:
    return [Point(name=f"run {i}", value=0.5 + i / 100, low=0.4, high=0.9, index=i, parameters=10 * (i + 1))
            for i in range(count)]


@pytest.mark.parametrize("count", [2, 30])
def test_every_run_and_its_interval_are_in_it(count: int) -> None:
    found = drawn_numbers.records(intervals.dots(points(count), metric=ACCURACY, split="test").figure)
    assert len(found) == count and {row["y"] for row in found} == {f"run {i}" for i in range(count)}
    row = next(row for row in found if row["y"] == "run 1")
    assert row["Test accuracy, with 95 % interval"] == pytest.approx(0.51) and (row["low"], row["high"]) == (0.4, 0.9)
    beside = drawn_numbers.records(
        intervals.against_parameters(points(count), metric=ACCURACY, split="test").figure)
    row = next(row for row in beside if row["point"] == "run 1")
    assert row["Trained parameters (log scale)"] == 20 and row["Test accuracy"] == pytest.approx(0.51)
    assert row["Test accuracy, low"] == pytest.approx(0.4) and row["Test accuracy, high"] == pytest.approx(0.9)


def test_a_curve_is_a_line_a_point_and_a_matrix_a_line_a_cell() -> None:
    lines = [curves.Line(name="a", x=[1, 2], y=[0.5, 0.7], index=0)]
    assert [(row["series"], row["Training steps"], row["Training loss"])
            for row in drawn_numbers.records(curves.overlay(lines).figure)] == [("a", 1, 0.5), ("a", 2, 0.7)]
    cells = drawn_numbers.records(confusion.matrix([[3, 1], [0, 4]], ("cat", "dog"), name="run").figure)
    assert sorted((row["rows"], row["value"]) for row in cells) == [(0, 0), (1, 0.25), (3, 0.75), (4, 1)]
    assert all("cat" in row.values() or "dog" in row.values() for row in cells)
