"""Lessons: what a claim is held against, how a prediction is scored, and that each can be laid out."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import lessons
from core.analysis.experiment import arm_document
from core.api.lessons import document_of, measured
from core.domain import codec
from core.domain.experiment import Arm, Experiment
from core.domain.recipe import Recipe
from core.domain.run import Interval, Result
from core.errors import NotFoundError
from core.lessons import Expected, Held, Lesson
from core.lessons.base import AGREES, ALIKE, CANNOT_TELL, DISAGREES
from core.metrics import REGISTRY as METRICS
from core.metrics import Judged
from core.models.methods import get as method_of
from core.planning import designs
from core.planning.designs.found import Found

LESSON = lessons.get("transfer")


def judged(accuracy: float, seed: int, *, rows: int = 400) -> Judged:
    labels = np.arange(rows) % 2
    right = np.random.default_rng(0).permutation(rows) < accuracy * rows
    right ^= np.random.default_rng(seed + 1).random(rows) < 0.02
    return Judged(labels=labels, predictions=np.where(right, labels, 1 - labels))


def found(**accuracies: float) -> Found:
    """Three seeds of made-up test rows of arms with these accuracies."""
    arms = tuple(Arm(name=name, label=name.capitalize(), recipe=Recipe(dataset="d", base_model="m", method="probe"))
                 for name in accuracies)
    asked = Experiment(design="methods", dataset="d", arms=arms, seeds=(0, 1, 2))
    rows = {name: {"test": {seed: judged(value, 10 * place + seed) for seed in range(3)}}
            for place, (name, value) in enumerate(accuracies.items())}
    return Found(experiment=asked, metric=METRICS["accuracy"], rows=rows)


def lesson(*expects: Expected) -> Lesson:
    return dataclasses.replace(LESSON, expects=expects)


def verdicts(what: Lesson, result: Found) -> list[str]:
    return [each.verdict for each in lessons.held(what, result)]


def test_a_claim_is_held_against_what_was_measured() -> None:
    ahead = lesson(Expected(a="full", b="scratch"))
    assert verdicts(ahead, found(full=0.9, scratch=0.5)) == [AGREES]
    assert verdicts(ahead, found(full=0.5, scratch=0.9)) == [DISAGREES]
    assert verdicts(ahead, found(full=0.7, scratch=0.7)) == [CANNOT_TELL]


def test_alike_is_never_proven_but_can_be_refuted() -> None:
    alike = lesson(Expected(a="lora", b="full", relation=ALIKE))
    tie, apart = found(lora=0.8, full=0.8), found(lora=0.9, full=0.5)
    assert verdicts(alike, tie) == [CANNOT_TELL] and verdicts(alike, apart) == [DISAGREES]
    assert "Nothing in this miniature speaks against" in lessons.sentence(lessons.held(alike, tie))
    assert "disagrees with the paper: the two differ" in lessons.sentence(lessons.held(alike, apart))


def test_lower_is_better_where_the_metric_says_so() -> None:
    losses = {name: {"test": {seed: Judged(losses=np.full(50, loss) + np.random.default_rng(seed).normal(0, 0.1, 50),
                                           tokens=np.full(50, 1)) for seed in range(3)}}
              for name, loss in (("full", 2.0), ("lora", 3.0))}
    better = dataclasses.replace(found(full=0.5, lora=0.5), metric=METRICS["loss"], rows=losses)
    assert verdicts(lesson(Expected(a="full", b="lora")), better) == [AGREES]


def test_arms_without_results_are_left_out() -> None:
    both = lesson(Expected(a="full", b="scratch"), Expected(a="full", b="missing"),
                  Expected(a="full", b="scratch", split="shift"))
    assert verdicts(both, found(full=0.9, scratch=0.5)) == [AGREES]
    assert lessons.held(lesson(Expected(a="x", b="y")), found(full=0.9)) == []
    assert "no results yet" in lessons.sentence([])


def test_under_the_null_at_most_one_lesson_in_twenty_disagrees() -> None:
    """Three expectations of arms that do not differ: Holm's correction covers them together."""
    what = lesson(*(Expected(a="a", b=name) for name in "bcd"))
    wrong, rng = 0, np.random.default_rng(1)
    for _ in range(200):
        arms = {name: {"test": {seed: _random(rng) for seed in range(2)}} for name in "abcd"}
        nothing = dataclasses.replace(found(a=0.5, b=0.5, c=0.5, d=0.5), rows=arms)
        wrong += any(each.verdict != CANNOT_TELL for each in lessons.held(what, nothing))
    assert wrong <= 20  # 10 are expected at most; 20 has a chance below 0.2 %


def _random(rng: np.random.Generator) -> Judged:
    labels = np.arange(120) % 2
    return Judged(labels=labels, predictions=np.where(rng.random(120) < 0.7, labels, 1 - labels))


def test_a_prediction_is_scored_against_known_numbers() -> None:
    truth = {"a": Interval(value=0.5, low=0.4, high=0.6), "b": Interval(value=0.9, low=0.85, high=0.95),
             "c": Interval(value=0.55, low=0.45, high=0.65)}
    guess = lessons.score({"a": 0.45, "b": 0.6, "c": 0.7, "unknown": 0.1}, truth)
    assert guess is not None
    assert guess.distance == pytest.approx((0.05 + 0.3 + 0.15) / 3)
    assert (guess.inside, guess.arms) == (1, 3)
    assert (guess.ordered, guess.pairs) == (1, 2)  # a and c overlap: nobody knows their order; b is above both
    assert lessons.score({"unknown": 0.5}, truth) is None


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), min_size=1))
def test_the_truth_itself_is_a_perfect_prediction(values: dict[str, float]) -> None:
    truth = {name: Interval(value=value, low=value - 0.01, high=value + 0.01) for name, value in values.items()}
    guess = lessons.score(values, truth)
    assert guess is not None and guess.distance == 0
    assert guess.inside == guess.arms == len(values) and guess.ordered == guess.pairs


def test_every_lesson_says_all_that_a_learner_needs() -> None:
    assert len(lessons.REGISTRY) == 8
    for each in lessons.REGISTRY.values():
        assert each.design in designs.REGISTRY and each.metric in METRICS and each.expects
        assert any(character.isdigit() for character in each.source) and len(each.look_for) >= 3
        assert each.asks.endswith("?") and len(each.text) > 200
        for method in each.choices.get("methods", ()):
            method_of(method)
    with pytest.raises(NotFoundError, match="no lesson 'nothing'") as error:
        lessons.get("nothing")
    assert "transfer" in error.value.why


def test_a_stored_result_reads_as_it_was_written() -> None:
    result = found(full=0.9, scratch=0.5, probe=0.8)
    report = {"arms": [{"name": name, "label": name, "x": None, "seeds": [0, 1, 2], "metrics": {
        "test": {"accuracy": codec.to_json(result.score(name))}}} for name in ("full", "scratch", "probe")],
        "answer": {"sentence": "Full is best."}}
    now = measured(LESSON, result, report)
    document = document_of(LESSON, result, report, {"date": "2026-11-27"})
    assert now is not None and document["sentence"] == now.sentence
    assert [codec.from_json(Held, each) for each in document["held"]] == list(now.held)
    assert measured(LESSON, None, report) is None


@pytest.mark.parametrize("name", [name for name in lessons.REGISTRY if lessons.stored(name)])
def test_stored_results_are_of_the_lesson_as_it_is(name: str) -> None:
    stored, lesson = lessons.stored(name), lessons.get(name)
    assert stored is not None and stored["lesson"] == name and stored["report"]["design"] == lesson.design
    there = {arm["name"] for arm in stored["report"]["arms"]}
    assert {arm for each in lesson.expects for arm in (each.a, each.b)} <= there
    assert all(lesson.metric in arm["metrics"][lesson.split] for arm in stored["report"]["arms"])
    assert stored["made"]["versions"] and stored["made"]["date"] and stored["sentence"]


def test_the_lesson_on_forgetting_says_what_was_forgotten_and_no_other_does() -> None:
    said = {}
    for name in lessons.REGISTRY:
        document = lessons.stored(name)
        assert document is not None, "every lesson has a stored result"
        now = measured(lessons.get(name), found(full=0.9), document["report"])
        assert now is not None
        said[name] = now.forgot
    number = r"[+−]0\.\d{3,4}"
    assert re.fullmatch(rf"Loss on texts that have nothing to do with it, in nats a token: "
                        rf"LoRA {number} \({number} to {number} over seeds\), "
                        rf"Full fine-tuning {number} \({number} to {number} over seeds\)\.", said.pop("forgetting"))
    assert not any(said.values())


def test_what_an_arm_forgot_is_the_mean_over_its_seeds() -> None:
    arm = Arm(name="lora", label="LoRA", recipe=Recipe(dataset="d", base_model="m", method="lora"))
    whole = Experiment(design="methods", dataset="d", arms=(arm,), seeds=(0,))

    def forgot(*changes: float | None) -> dict[str, Any] | None:
        results = [Result(metrics={}, trainable_params=1, total_params=1, seconds=1.0, phase_seconds={},
                          peak_memory_bytes=1, estimated_memory_bytes=1, artifact_bytes=1, steps=1, samples=1,
                          precision="fp32", device="cpu", panel_change=None if change is None else Interval(
                              value=change, low=change - 1, high=change + 1)) for change in changes]
        document = arm_document(arm, whole, rows={}, rate=1.0, results=results, rates={})
        told: dict[str, Any] | None = document.get("forgot")
        return told

    assert forgot(0.1, None, 0.3) == {"value": pytest.approx(0.2), "seeds": [0.1, 0.3]}
    assert forgot(None) is None
