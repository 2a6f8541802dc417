"""Measures of runs and of arms over seeds."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from core.analysis import measures
from core.domain.run import Interval, Result

RESULT = Result(metrics={"test": {"accuracy": Interval(value=0.9, low=0.88, high=0.92)}}, trainable_params=1000,
                total_params=10**6, seconds=60.0, phase_seconds={}, peak_memory_bytes=10**9, estimated_memory_bytes=4,
                artifact_bytes=10**6, steps=6, samples=7, precision="fp32", device="cpu")


def measure(name: str, *results: Result) -> measures.Measure:
    return next(each for each in measures.available(results) if each.name == name)


def test_every_metric_and_cost_that_there_is_is_offered() -> None:
    assert [each.name for each in measures.available([RESULT])] == [
        "test.accuracy", "seconds", "peak_memory_bytes", "trainable_params", "artifact_bytes"]
    forgot = dataclasses.replace(RESULT, panel_change=Interval(value=0.1, low=0, high=0.2), labels_used={"train": 8})
    assert {"forgotten", "labels"} <= {each.name for each in measures.available([RESULT, forgot])}


def test_single_runs_differ_in_seconds_only_beyond_the_factor() -> None:
    def seconds(value: float) -> Interval:
        found = measure("seconds", RESULT).of(dataclasses.replace(RESULT, seconds=value))
        assert found is not None
        return found

    assert seconds(60).high > seconds(85).low and seconds(60).high < seconds(95).low
    exact = measure("trainable_params", RESULT).of(RESULT)
    assert exact is not None and exact.low == exact.high == 1000


def test_seeds_are_one_measurement_with_student_s_t_of_their_logarithms() -> None:
    times = [50.0, 60.0, 80.0]
    found = measures.over_seeds(measure("seconds", RESULT), [dataclasses.replace(RESULT, seconds=t) for t in times])
    assert found is not None and found.value == pytest.approx(stats.gmean(times))
    low, high = stats.t.interval(0.95, 2, np.mean(np.log(times)), stats.sem(np.log(times)))
    assert (found.low, found.high) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))
    score = measures.over_seeds(measure("test.accuracy", RESULT), [RESULT, RESULT])
    assert score is not None and (score.low, score.high) == (pytest.approx(0.88), pytest.approx(0.92))
    older = dataclasses.replace(RESULT, marginal_seconds=5.0)
    assert measures.over_seeds(measure("marginal_seconds", older), [older, RESULT]) is None
