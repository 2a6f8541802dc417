"""The rule that turns measured sets into a recommendation, on made-up tables whose truth is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import advice
from core.advice import Arm, Setting, Situation, results, rule
from core.domain.dataset import Content, Task
from core.domain.run import Interval
from core.metrics import arms
from core.planning import designs

TEXTS, PICTURES = Task.on(Content.TEXT), Task.on(Content.PICTURE)
SECONDS = {"probe": 10.0, "partial": 20.0, "lora": 30.0, "full": 40.0}


def setting(name: str, behind: dict[str, float], *, labels: int = 100, classes: int = 5, task: Task = TEXTS,
            probe: float | None = None, worse: float = -0.02) -> Setting:
    """A set on which methods were so far behind the best; told from it where they are 2 points behind."""
    return Setting(dataset=name, name=name, model="m", effort="quick", seeds=3, metric="accuracy", made={},
                   situation=Situation(task=task, labels=labels, classes=classes, probe=probe),
                   arms=tuple(Arm(method=method, score=around(0.9 + value), behind=around(value), worse=value < worse,
                                  seconds=SECONDS[method]) for method, value in behind.items()))


def around(value: float) -> Interval:
    return Interval(value=value, low=value - 0.01, high=value + 0.01)


FEW = {"probe": 0.0, "partial": -0.05, "lora": -0.05, "full": -0.10}
MANY = {"probe": -0.10, "partial": -0.05, "lora": -0.03, "full": 0.0}


def test_twice_the_labels_a_class_are_one_step_and_pictures_are_three() -> None:
    here = Situation(task=TEXTS, labels=200, classes=5)
    assert rule.distance(here, setting("a", FEW, labels=100)) == 1
    assert rule.distance(here, setting("a", FEW, labels=100, classes=10)) == pytest.approx(2)
    assert rule.distance(here, setting("a", FEW, labels=200, task=PICTURES)) == 3
    near = Situation(task=TEXTS, labels=200, classes=5, probe=0.9)
    assert rule.distance(near, setting("a", FEW, labels=200, probe=0.5)) == pytest.approx(2)
    assert rule.distance(near, setting("a", FEW, labels=200)) == 0, "a probe that nobody trained does not count"


def test_expected_is_the_mean_weighted_by_how_alike_sets_are() -> None:
    here = Situation(task=TEXTS, labels=100, classes=5)
    table = [setting("same", FEW), setting("twice", MANY, labels=200)]
    near = math.exp(-1) / (1 + math.exp(-1))
    found = {each.method: each for each in rule.expected(here, table, SECONDS)}
    assert found["probe"].value == pytest.approx(near * -0.10)
    assert found["full"].value == pytest.approx((1 - near) * -0.10)
    assert (found["full"].low, found["full"].high, found["full"].sets) == (-0.10, 0.0, 2)
    assert [weight for _, weight in rule.alike(here, table)] == pytest.approx([1 - near, near])


def test_the_quickest_within_a_point_of_the_best_is_chosen() -> None:
    here = Situation(task=TEXTS, labels=100, classes=5)
    close = [setting("a", {"probe": -0.009, "full": 0.0, "lora": -0.012})]
    assert rule.choose(rule.expected(here, close, SECONDS), SECONDS) == "probe"
    assert rule.choose(rule.expected(here, close, SECONDS), SECONDS | {"probe": 50.0}) == "full"
    assert rule.choose(rule.expected(here, close, SECONDS), {}) in ("probe", "full"), "nothing known of time"
    assert rule.choose([], SECONDS) is None


def test_a_method_is_not_judged_by_sets_unlike_these_data_alone() -> None:
    here = Situation(task=TEXTS, labels=100, classes=5)
    table = [setting("texts", {"probe": -0.016, "full": 0.0}),
             setting("pictures", {"probe": 0.0, "full": -0.08, "lora": -0.008}, task=PICTURES)]
    assert [each.method for each in rule.expected(here, table, SECONDS)] == ["full", "probe"]
    assert [each.name for each in rule.telling(rule.alike(here, table))] == ["texts"]
    pictures = Situation(task=PICTURES, labels=100, classes=5)
    assert "lora" in [each.method for each in rule.expected(pictures, table, SECONDS)]


def test_texts_say_nothing_of_pictures_alone_and_labels_nothing_of_language_models() -> None:
    assert rule.alike(Situation(task=PICTURES, labels=100, classes=5), [setting("a", FEW)]) == []
    both = [setting("a", FEW), setting("b", MANY, task=PICTURES)]
    assert len(rule.alike(Situation(task=PICTURES, labels=100, classes=5), both)) == 2
    assert rule.alike(Situation(task=Task.on(Content.TEXT, labelled=False), labels=100, classes=0), both) == []


def test_where_labels_decide_the_advisor_is_right_on_every_unseen_set_and_fixed_rules_on_half() -> None:
    table = [setting(f"few {i}", FEW, labels=50 + 5 * i) for i in range(3)]
    table += [setting(f"many {i}", MANY, labels=1600 + 50 * i) for i in range(3)]
    tried = rule.leave_one_out(table)
    right = {name: sum(each.right for each in tried if each.rule == name) for name in {each.rule for each in tried}}
    assert right == {rule.ADVISOR: 6, "always Linear probe": 3, "always Full fine-tuning": 3, "always LoRA": 0,
                     "always Partly frozen": 0}
    assert sum(each.behind for each in tried if each.rule == "always LoRA") == pytest.approx(3 * -0.05 + 3 * -0.03)


def test_the_left_out_set_has_no_part_in_its_advice() -> None:
    """A set that is alone in what it says is advised wrongly; were it looked at, its weight would decide."""
    table = [setting("odd", FEW, labels=100), *(setting(f"other {i}", MANY, labels=110 + i) for i in range(3))]
    odd = next(each for each in rule.leave_one_out(table) if each.rule == rule.ADVISOR and each.dataset == "odd")
    assert (odd.method, odd.right, odd.behind) == ("full", False, -0.10)


def test_a_tie_with_the_best_counts_as_right() -> None:
    table = [setting(f"s{i}", {"probe": -0.015, "full": 0.0}, worse=-0.5) for i in range(3)]
    assert all(each.right for each in rule.leave_one_out(table))


@given(st.lists(st.tuples(st.integers(10, 5000), st.lists(st.floats(-0.5, 0), min_size=4, max_size=4)), min_size=1,
                max_size=6), st.integers(10, 5000))
def test_expectations_lie_within_what_was_measured(rows: list[tuple[int, list[float]]], labels: int) -> None:
    table = [setting(f"s{i}", dict(zip(SECONDS, behind, strict=True)), labels=count)
             for i, (count, behind) in enumerate(rows)]
    for each in rule.expected(Situation(task=TEXTS, labels=labels, classes=5), table, SECONDS):
        values = [behind[list(SECONDS).index(each.method)] for _, behind in rows]
        assert min(values) - 1e-9 <= each.value <= max(values) + 1e-9
        assert each.low <= each.high + 1e-12 and 1 <= each.sets <= len(rows)
    weights = [weight for _, weight in rule.alike(Situation(task=TEXTS, labels=labels, classes=5), table)]
    assert sum(weights) == pytest.approx(1) and weights == sorted(weights, reverse=True)


def report(difference: float, verdict: str) -> dict[str, object]:
    """An experiment's document of two arms, as `core experiment --json` prints it."""
    def arm(name: str, value: float) -> dict[str, object]:
        return {"name": name, "label": name, "method": name, "model": "minilm", "cost": {"cold_s": 5.0},
                "metrics": {"test": {"accuracy": {"value": value, "low": value - 0.1, "high": value}}}}

    return {"design": designs.get("methods").name, "metric": "accuracy", "seeds": [0, 1],
            "arms": [arm("probe", 0.9 - difference), arm("full", 0.9)],
            "comparisons": [{"a": "probe", "b": "full", "verdict": verdict,
                             "p_adjusted": 0.4 if verdict == "cannot tell" else 0.01,
                             "difference": {"value": -difference, "low": -difference - 0.02, "high": -0.01}}]}


@pytest.mark.parametrize("turned", [False, True])
def test_a_stored_document_is_read_whichever_way_round_arms_were_compared(turned: bool) -> None:
    stored = report(0.05, "worse")
    if turned:
        [each] = stored["comparisons"]  # type: ignore[misc]
        each.update(a="full", b="probe", verdict="better", difference={"value": 0.05, "low": 0.01, "high": 0.07})
    read = results.read(results.document(
        dataset={"id": "d", "name": "D", "task": "text-classification", "labels": 100, "classes": 4, "shift": False},
        effort="quick", made={"date": "2026-01-01"}, report=stored))
    probe, full = read.arm("probe"), read.arm("full")
    assert probe is not None and full is not None
    assert probe.behind == Interval(value=-0.05, low=-0.07, high=-0.01) and probe.worse and probe.seconds == 5.0
    assert full.behind.value == 0 and not full.worse
    assert read.situation == Situation(task=TEXTS, labels=100, classes=4, probe=pytest.approx(0.85))
    assert results.read(results.document(dataset={"id": "d", "name": "D", "task": "text-classification", "labels": 100,
                                                  "classes": 4, "shift": False}, effort="quick", made={},
                                         report=report(0.05, "cannot tell"))).arm("probe").worse is False  # type: ignore[union-attr]


def test_of_all_pairs_those_with_the_best_method_are_corrected_by_themselves() -> None:
    """Twenty methods are 190 pairs; the best of them and the 19 others are asked for here."""
    alone = {("a", "b"): 0.001, ("a", "c"): 0.01, ("b", "c"): 0.4, ("a", "d"): 0.02, ("b", "d"): 0.9, ("c", "d"): 0.3}
    corrected = arms.holm(list(alone.values()))
    stored = [{"a": a, "b": b, "p_adjusted": p} for (a, b), p in zip(alone, corrected, strict=True)]
    read = results._uncorrected(stored)
    assert [read[pair] for pair in alone][:2] == pytest.approx([0.001, 0.01]) and read["a", "d"] == pytest.approx(0.02)
    assert all(read[pair] >= p - 1e-12 for pair, p in alone.items()), "never smaller than it was"


def test_what_comes_with_thaw_was_measured_and_can_be_read() -> None:
    for each in advice.stored():
        assert each.made["date"] and each.made["device"] and each.made["versions"]["torch"]
        assert min(arm.behind.value for arm in each.arms) <= 0 == max(arm.behind.value for arm in each.arms)
        assert each.situation.labels > 0 and len(each.arms) >= 2
