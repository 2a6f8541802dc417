"""When runs start and end, against times laid out by hand."""

from __future__ import annotations

import pytest

from core.planning.schedule import Stretch, factor, left, pace, schedule, share_left


def test_one_slot_runs_one_after_another() -> None:
    found = schedule({"a": 30.0}, [("b", 60.0), ("c", 10.0)], slots=1)
    assert found == {"a": Stretch(starts_s=0, ends_s=30), "b": Stretch(starts_s=30, ends_s=90),
                     "c": Stretch(starts_s=90, ends_s=100)}


def test_the_next_run_takes_the_slot_that_is_free_first() -> None:
    found = schedule({"a": 30.0}, [("b", 60.0), ("c", 10.0), ("d", 5.0)], slots=2)
    assert {job: (s.starts_s, s.ends_s) for job, s in found.items()} == {
        "a": (0, 30), "b": (0, 60), "c": (30, 40), "d": (40, 45)}


def test_more_under_way_than_slots_is_waited_for() -> None:
    assert schedule({"a": 5.0, "b": 9.0}, [("c", 1.0)], slots=1)["c"].starts_s == 5


def test_what_comes_after_a_run_without_an_estimate_is_left_out() -> None:
    assert set(schedule({"a": 1.0}, [("b", None), ("c", 2.0)], slots=1)) == {"a"}
    assert set(schedule({"a": None}, [("b", 1.0)], slots=1)) == set()
    two = schedule({}, [("b", None), ("c", 2.0), ("d", 3.0)], slots=2)
    assert two == {"c": Stretch(starts_s=0, ends_s=2), "d": Stretch(starts_s=2, ends_s=5)}


@pytest.mark.parametrize(("step", "age_s", "expected"), [
    ({"step": 10, "total_steps": 40, "seconds": 20.0}, 0.0, 60.0),
    ({"step": 10, "total_steps": 40, "seconds": 20.0}, 5.0, 55.0),
    ({"step": 1, "total_steps": 40, "seconds": 20.0}, 0.0, None),
    ({"step": 40, "total_steps": 40, "seconds": 20.0}, 0.0, None),
    ({}, 0.0, None)])
def test_the_pace_of_training_tells_what_is_left(step: dict[str, object], age_s: float, expected: float | None) -> None:
    assert pace(step, age_s=age_s) == expected


def test_what_is_left_is_the_pace_else_the_estimate_and_never_nothing() -> None:
    assert left(100.0, elapsed_s=50, pace_s=20.0) == 30.0
    assert left(100.0, elapsed_s=30, pace_s=None) == 70.0
    assert left(100.0, elapsed_s=500, pace_s=None) == 10.0
    assert left(None, elapsed_s=500, pace_s=None) is None


@pytest.mark.parametrize(("step", "share"), [
    ({"step": 30, "total_steps": 40}, 0.25), ({"step": 40, "total_steps": 40}, 0.0),
    ({"step": 50, "total_steps": 40}, 0.0),
    ({"step": 3, "total_steps": 0}, 1.0), ({"step": "3", "total_steps": 40}, 1.0), ({}, 1.0)])
def test_what_goes_on_has_the_rest_of_its_steps_before_it(step: dict[str, object], share: float) -> None:
    assert share_left(step) == share


def test_measured_runs_correct_the_others_within_reason() -> None:
    assert factor([], []) == 1.0
    assert factor([30.0, 30.0], [20.0, 20.0]) == 1.5
    assert factor([1000.0], [1.0]) == 5.0
