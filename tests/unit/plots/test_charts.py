"""Charts hold the numbers they were given, and their sentences claim no more than the intervals support."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics import METRICS, Metric, Need, Unit
from core.planning.estimate import MemoryEstimate
from core.plots import confusion, curves, intervals, memory
from core.plots.intervals import Point
from core.plots.theme import slanted

ACCURACY = METRICS[0]
ERROR = Metric(name="error_rate", label="error rate", meaning="The share of rows that are wrong.",
               higher_is_better=False, unit=Unit.SHARE, needs=frozenset({Need.LABELS}),
               parts=lambda judged: judged.labels[:, None])


def point(name, value, half, index=0, parameters=0):
    return Point(name=name, value=value, low=value - half, high=value + half, index=index, parameters=parameters)


def test_overlapping_intervals_name_no_winner():
    text = intervals.finding([point("full", 0.97, 0.01), point("lora", 0.96, 0.01), point("scratch", 0.6, 0.05)],
                             ACCURACY, "test")
    assert text == "No clear winner in test accuracy: the intervals of full and lora overlap; scratch lies below"


def test_a_separate_interval_is_said_to_be_highest():
    text = intervals.finding([point("full", 0.97, 0.005), point("lora", 0.9, 0.01)], ACCURACY, "test")
    assert text == "full has the highest test accuracy; its interval lies above all others"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.3)), min_size=2, max_size=8))
def test_a_winner_is_only_ever_named_when_its_interval_is_above_every_other(values):
    points = [point(f"r{i}", v, h) for i, (v, h) in enumerate(values)]
    top = max(points, key=lambda p: p.value)
    separate = all(p.high < top.low for p in points if p is not top)
    assert ("has the highest" in intervals.finding(points, ACCURACY, "test")) == separate


def test_of_a_metric_whose_lower_values_are_better_the_lowest_run_leads():
    apart, close = ([point("full", 0.02, 0.005), point("lora", 0.1, 0.01, 1)],
                    [point("full", 0.02, 0.01), point("lora", 0.03, 0.01, 1)])
    assert (intervals.finding(apart, ERROR, "test")
            == "full has the lowest test error rate; its interval lies below all others")
    text = intervals.finding([*close, point("scratch", 0.4, 0.01)], ERROR, "shift")
    assert text == "No clear winner in shift error rate: the intervals of full and lora overlap; scratch lies above"
    # best on top
    assert (list(intervals.dots(apart, metric=ERROR, split="test").figure.layout.yaxis.ticktext) == ["lora", "full"])
    assert "accuracy" not in intervals.dots(apart, metric=ERROR, split="test").alt.lower()
    small = intervals.against_parameters([point("a", 0.02, 0.01, 0, 9), point("b", 0.025, 0.01, 1, 5),
                                          point("c", 0.5, 0.01, 2, 1)],
                                         metric=ERROR, split="test")
    assert small.title == "b, training 5 parameters, is the smallest run not clearly above the best test error rate"
    assert small.figure.layout.yaxis.title.text == "Test error rate"


def test_curves_of_a_metric_whose_lower_values_are_better():
    lines = [curves.Line(name="a", x=[1, 2], y=[0.5, 0.7], index=0),
             curves.Line(name="b", x=[1, 2], y=[0.9, 0.6], index=1)]
    assert (curves.overlay(lines, metric=ERROR).title
            == "Lowest validation error rate of each run: from 0.500 (a) to 0.600 (b)")
    assert curves.overlay(lines).title == "Lowest training loss of each run: from 0.500 (a) to 0.600 (b)"
    data = curves.RunCurves(eval_steps=[2, 3], eval_losses=[1.1, 0.7], scores=[0.8, 0.75], metric=ERROR)
    chart = curves.run_chart(data, ended=True)
    assert (chart.title == "Best validation error rate: 0.750, at step 3" and chart.figure.layout.yaxis2.title.text
            == "Error rate")


def test_dots_draw_every_value_and_interval():
    chart = intervals.dots([point("a", 0.9, 0.02), point("b", 0.8, 0.03, 1)], metric=ACCURACY, split="test")
    markers = {t.name: t.x[0] for t in chart.figure.data if t.mode == "markers"}
    spans = sorted(tuple(np.round(t.x, 3)) for t in chart.figure.data if t.mode == "lines")
    assert markers == {"a": 0.9, "b": 0.8}
    assert spans == [(0.77, 0.83), (0.88, 0.92)]


@pytest.mark.parametrize(("name", "least"), [("LoRA · seed {}", 16), ("Full fine-tuning · seed {} of all", 28)])
def test_names_of_many_runs_have_room_for_their_lines(name, least):
    chart = intervals.dots([point(name.format(seed), 0.9, 0.02) for seed in range(12)], metric=ACCURACY, split="test")
    assert (chart.figure.layout.height - 110) / 12 >= least
    assert all(("<br>" in text) == (least > 16) for text in chart.figure.layout.yaxis.ticktext)


def test_accuracy_against_parameters_names_the_smallest_run_within_reach_of_the_best():
    chart = intervals.against_parameters([point("probe", 0.955, 0.01, 0, 1925),
                                          point("full", 0.965, 0.01, 2, 22_700_000),
                                          point("scratch", 0.5, 0.05, 3, 10)], metric=ACCURACY, split="test")
    assert (chart.title
            == "probe, training 1.93 K parameters, is the smallest run not clearly below the best test accuracy")
    assert chart.figure.layout.xaxis.type == "log"


def test_no_runs_give_an_honest_empty_chart():
    assert "No run has" in intervals.dots([], metric=ACCURACY, split="test").title
    assert "No run has" in intervals.against_parameters([], metric=ACCURACY, split="test").title
    assert "No run has" in curves.overlay([]).title
    assert "No step" in curves.run_chart(curves.RunCurves()).title


def test_a_run_chart_keeps_all_points_and_tells_the_best():
    data = curves.RunCurves(steps=[1, 2, 3], losses=[2.0, 1.0, 0.5], eval_steps=[2, 3], eval_losses=[1.1, 0.7],
                            scores=[0.8, 0.75])
    chart = curves.run_chart(data, total_steps=10)
    assert [len(t.x) for t in chart.figure.data] == [3, 2, 2]
    assert "0.800, at step 2" in chart.title and "fell from 2.000 to 0.500" in chart.title


def test_a_rising_loss_is_not_said_to_fall():
    rising = curves.RunCurves(steps=[1, 2], losses=[1.0, 2.0])
    assert "Training loss rose from 1.000 to 2.000" in curves.run_chart(rising).title
    flat = curves.RunCurves(steps=[1, 2], losses=[1.0, 1.0])
    assert "Training loss stayed at 1.000" in curves.run_chart(flat).title


@pytest.mark.parametrize("x", ["steps", "seconds", "samples"])
def test_overlay_ranks_by_best_point(x):
    lines = [curves.Line(name="a", x=[1, 2], y=[0.5, 0.7], index=0),
             curves.Line(name="b", x=[1, 2], y=[0.9, 0.6], index=1)]
    chart = curves.overlay(lines, x=x, metric=ACCURACY)
    assert chart.title == "Highest validation accuracy of each run: from 0.900 (b) to 0.700 (a)"
    assert chart.figure.layout.xaxis.title.text == curves.X_LABELS[x]


def test_confusion_names_the_most_frequent_error():
    chart = confusion.matrix([[9, 1, 0], [4, 6, 0], [0, 0, 10]], ["tech", "sport", "politics"], name="full")
    assert chart.title == "full: most often, sport is taken for tech (4 of 10 rows)"
    assert "25 of 30 test rows" in chart.alt
    assert np.allclose(np.asarray(chart.figure.data[0].z)[1], [0.4, 0.6, 0.0])


def test_confusion_without_errors_says_so():
    assert confusion.matrix([[3, 0], [0, 4]], ["a", "b"]).title == "every test row is right"


def test_many_classes_are_cut_to_those_with_most_errors_and_said_so():
    n = 60
    counts = np.eye(n, dtype=int) * 10
    counts[50, 51] = 5
    chart = confusion.matrix(counts.tolist(), [f"c{i}" for i in range(n)])
    assert "the 40 classes with the most errors" in chart.title
    assert "c50" in chart.figure.layout.xaxis.ticktext


def test_memory_bars_stack_to_the_total_and_draw_the_limit():
    estimate = MemoryEstimate(weights=4_000_000_000, gradients=1_000_000_000, optimizer=2_000_000_000,
                              activations=1_500_000_000, adapters=0, available=8_000_000_000)
    chart = memory.bars({"full": estimate})  # activations make room for gradients: 4 + 2 + the larger of 1 and 1.5
    assert sum(t.x[0] for t in chart.figure.data) == pytest.approx(7.5) == estimate.total / 1e9
    assert chart.figure.layout.shapes[0].x0 == 8.0
    assert "7.50 GB of the 8.00 GB" in chart.title and "tight" in chart.alt


def test_a_title_goes_inside_the_exported_copy_only():
    chart = intervals.dots([point("a", 0.9, 0.02)], metric=ACCURACY, split="test")
    assert chart.titled().layout.title.text == chart.title
    assert chart.figure.layout.title.text is None


def test_of_many_blocks_every_second_or_third_is_named():
    names = [f"block {i}" for i in range(31)]
    axis = slanted(names, at_most=16).axis
    assert axis["tickvals"] == list(range(0, 31, 2)) and axis["ticktext"] == names[::2]
    assert slanted(names[:16], at_most=16).axis["ticktext"] == names[:16]
    assert slanted(names).axis["ticktext"] == names
