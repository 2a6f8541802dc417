"""Charts of an experiment: points where they were measured, words for people who cannot see them."""

from __future__ import annotations

import pytest

from core.metrics import REGISTRY
from core.plots import experiment, palette
from core.plots.experiment import Mark


def mark(x: float, value: float, line: str = "LoRA", **more: object) -> Mark:
    return Mark(line=line, label=f"{line} at {x:g}", x=x, value=value, low=value - 0.1, high=value + 0.05,
                look=palette.arm(0), **more)  # type: ignore[arg-type]


def test_arms_stand_along_their_axis_with_their_intervals() -> None:
    chart = experiment.along([mark(3, 0.7), mark(1, 0.5), mark(2, 0.9, chosen=True), mark(1, 0.4, "Full")],
                             title="Test accuracy by rate", x_title="Rate", y_title="Test accuracy", log=True)
    lora, full = chart.figure.data
    assert list(lora.x) == [1, 2, 3] and list(lora.y) == [0.5, 0.9, 0.7] and list(full.y) == [0.4]
    assert list(lora.error_y.array) == pytest.approx([0.05] * 3)
    assert list(lora.error_y.arrayminus) == pytest.approx([0.1] * 3)
    assert lora.marker.size[1] > lora.marker.size[0] and chart.figure.layout.xaxis.type == "log"
    assert chart.alt.startswith("Test accuracy by rate. LoRA: ") and "(chosen)" in chart.alt


def test_a_fitted_curve_stands_behind_the_points() -> None:
    chart = experiment.with_curve(experiment.along([mark(1, 0.5)], title="t", x_title="x", y_title="y"), "law", [1, 2],
                                  [0.5, 0.6], palette.arm(0))
    assert list(chart.figure.data[-1].y) == [0.5, 0.6] and chart.figure.data[-1].mode == "lines"


def test_each_seed_is_a_dot_and_the_mean_a_bar() -> None:
    chart = experiment.seeds({"LoRA": [0.8, 0.9, 0.85]}, {"LoRA": palette.arm(0)}, metric=REGISTRY["accuracy"],
                             split="test", title="Seeds")
    reach, dots, mean = chart.figure.data
    assert list(reach.x) == [0.8, 0.9] and list(dots.x) == [0.8, 0.9, 0.85] and mean.x[0] == pytest.approx(0.85)
    assert chart.alt == "Seeds. LoRA: 0.800, 0.900, 0.850."
