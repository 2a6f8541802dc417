"""Charts of lessons: a prediction beside what was measured."""

from __future__ import annotations

import pytest

from core.domain.run import Interval
from core.metrics import REGISTRY
from core.plots import lesson, palette
from core.plots.lesson import Place

LABELS = {"full-20": "Full fine-tuning, 20 labels", "full-540": "Full fine-tuning, 540 labels",
          "scratch-20": "From scratch, 20 labels", "scratch-540": "From scratch, 540 labels"}
PLACES = {name: Place(curve=label.rpartition(", ")[0], x=float(name.rpartition("-")[2]),
                      look=palette.arm(name.startswith("scratch"))) for name, label in LABELS.items()}
PREDICTED = dict(zip(LABELS, (0.7, 0.9, 0.2, 0.8), strict=True))
FOUND = {name: Interval(value=value, low=value - 0.05, high=value + 0.02) for name, value in PREDICTED.items()}
HOW = {"metric": REGISTRY["accuracy"], "split": "test", "limits": (0.0, 1.0)}


def test_arms_along_an_axis_are_a_curve_a_method_for_the_prediction_and_for_the_measurement() -> None:
    chart = lesson.drawn(LABELS, PREDICTED, FOUND, places=PLACES, x_title="Labels (log scale)", **HOW)  # type: ignore[arg-type]
    drawn = {trace.name: trace for trace in chart.figure.data}
    assert list(drawn) == ["Full fine-tuning, your prediction", "Full fine-tuning, measured",
                           "From scratch, your prediction", "From scratch, measured"]
    assert all(trace.mode == "lines+markers" and list(trace.x) == [20, 540] for trace in drawn.values())
    assert list(drawn["From scratch, your prediction"].y) == [0.2, 0.8]
    assert list(drawn["Full fine-tuning, measured"].error_y.arrayminus) == pytest.approx([0.05, 0.05])
    axis = chart.figure.layout.xaxis
    assert axis.type == "log" and list(axis.ticktext) == ["20", "540"] and axis.title.text == "Labels (log scale)"
    assert drawn["Full fine-tuning, measured"].marker.color != drawn["From scratch, measured"].marker.color
    assert "Full fine-tuning, 20 labels: predicted 0.70, measured 0.70 (0.65–0.72)" in chart.alt


@pytest.mark.parametrize(("joined", "mode"), [(True, "lines+markers"), (False, "markers")])
def test_other_arms_stand_side_by_side(joined: bool, mode: str) -> None:
    chart = lesson.drawn(LABELS, PREDICTED, {}, joined=joined, **HOW)  # type: ignore[arg-type]
    [drawn] = chart.figure.data
    assert drawn.name == lesson.PREDICTED and drawn.mode == mode and list(drawn.x) == [0, 1, 2, 3]
    assert chart.figure.layout.xaxis.ticktext[0] == "Full fine-tuning<br>20 labels"


def test_a_projector_shows_larger_letters_and_marks() -> None:
    near, far = (lesson.spread(LABELS, [PREDICTED, PREDICTED], FOUND, scale=scale, **HOW).figure  # type: ignore[arg-type]
                 for scale in (1.0, 1.7))
    assert all(large.marker.size > small.marker.size for small, large in zip(near.data, far.data, strict=True))
    assert far.layout.xaxis.tickfont.size > 13 and far.layout.height > near.layout.height
