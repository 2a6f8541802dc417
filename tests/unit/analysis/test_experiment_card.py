"""The verdict card of an experiment, of made-up rows and results whose truth is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

from core.analysis import experiment_card
from core.analysis.experiment_card import Card
from core.analysis.forgetting import Word
from core.domain.experiment import Compared
from core.domain.run import Interval, Result
from core.metrics import REGISTRY, Judged

ACCURACY = REGISTRY["accuracy"]
LABELS = {"a": "LoRA", "b": "Linear probe", "c": "From scratch"}
RESULT = Result(metrics={}, trainable_params=1000, total_params=10**6, seconds=60.0, marginal_seconds=20.0,
                phase_seconds={}, peak_memory_bytes=10**9, estimated_memory_bytes=4, artifact_bytes=10**6, steps=6,
                samples=7, precision="fp32", device="cpu")


def rows(*shares: float, n: int = 1000) -> dict[str, dict[int, Judged]]:
    """A seed a share of right rows."""
    labels = np.arange(n) % 2
    return {"test": {seed: Judged(labels=labels, predictions=np.where(np.arange(n) < share * n, labels, 1 - labels))
                     for seed, share in enumerate(shares)}}


def compared(a: str, b: str, value: float, half: float, verdict: str, p: float = 0.5) -> Compared:
    return Compared(a=a, b=b, difference=Interval(value=value, low=value - half, high=value + half), p_adjusted=p,
                    verdict=verdict, more_seeds=4 if verdict == "cannot tell" else None, more_rows=None)


def card(test: list[Compared], of: Mapping[str, dict[str, dict[int, Judged]]], *,
         shift: list[Compared] | None = None, results: Mapping[str, Mapping[int, Result]] | None = None) -> Card:
    return experiment_card.of(metric=ACCURACY, labels=LABELS, rows=of, test=test, shift=shift or [],
                              results=results or {name: dict.fromkeys(range(3), RESULT) for name in of})


def test_a_difference_beyond_what_seeds_change_lies_outside_and_a_smaller_one_inside() -> None:
    of = {"a": rows(0.90, 0.91, 0.92), "b": rows(0.70, 0.71, 0.72)}
    beside = card([compared("a", "b", 0.2, 0.02, "better", 0.001)], of).beside[0]
    # both arms: a variance of 0.0001, four degrees of freedom, t = 2.776
    assert beside.noise.value == pytest.approx(2.776 * np.sqrt(2) * 0.01, rel=1e-3) and beside.noise.place == "outside"
    assert beside.word is Word.BETTER and beside.title == "LoRA beside Linear probe"
    assert [line.subject for line in beside.lines] == ["target", "cost", "noise"]
    assert "+20.0 points of accuracy (95 % interval +18.0 to +22.0)" in beside.lines[0].sentence
    near = card([compared("a", "b", 0.02, 0.01, "better", 0.01)], of).beside[0]
    assert near.noise.place == "inside" and "one run of each arm would not show it" in near.lines[-1].sentence
    reaching = card([compared("a", "b", 0.06, 0.04, "better", 0.01)], of).beside[0]
    assert reaching.noise.place == "not clear"
    one = card([compared("a", "b", 0.2, 0.02, "better")], {"a": rows(0.9), "b": rows(0.7)}).beside[0]
    assert one.noise.place == "not known" and one.noise.value is None


def test_it_counts_what_it_could_tell() -> None:
    of = {name: rows(0.8, 0.8) for name in LABELS}
    tie = compared("a", "b", 0.0, 0.1, "cannot tell")
    assert card([tie], of).headline == "These runs cannot tell the two arms apart."
    assert card([tie, compared("a", "c", 0.0, 0.1, "cannot tell")], of).headline.startswith("In none of 2 comparisons")
    few = [tie, compared("a", "c", 0.3, 0.1, "better"), compared("b", "c", -0.3, 0.1, "worse")]
    told = card(few, of)
    assert told.headline == ("LoRA is better than From scratch; From scratch is better than Linear probe; "
                             "LoRA and Linear probe cannot be told apart.")
    both = card([tie, compared("a", "c", 0.3, 0.1, "better"), compared("c", "b", -0.3, 0.1, "worse")], of)
    assert both.headline.startswith("LoRA and Linear probe are better than From scratch; ")
    assert card(few[1:2], of).headline == "LoRA is better than From scratch."
    many = card([*few, compared("a", "c", 0.2, 0.1, "better")], of)
    assert many.headline == "Of 4 comparisons the arm named first is better in 2, worse in 1; 1 cannot be told."
    assert "about 4 more seeds" in told.beside[0].lines[0].sentence
    assert "corrected for 3 comparisons" in told.beside[0].lines[0].sentence
    assert card([], of).beside == () and card([], of).headline == ""


def test_cost_is_stated_cold_and_marginal_and_shift_has_a_word_of_its_own() -> None:
    of = {"a": rows(0.9, 0.9), "b": rows(0.8, 0.8)}
    dear = dataclasses.replace(RESULT, seconds=120.0, marginal_seconds=None, trainable_params=22_700_000)
    beside = card([compared("a", "b", 0.1, 0.02, "better")], of, shift=[compared("a", "b", -0.2, 0.1, "worse", 0.01)],
                  results={"a": {0: dear}, "b": {0: RESULT, 1: RESULT}}).beside[0]
    shift, cost = beside.lines[1], beside.lines[2]
    assert (shift.subject, shift.word) == ("shift", Word.WORSE) and "on shift rows" in shift.sentence
    assert cost.word is None and cost.sentence == (
        "2 min 00 s against 1 min 00 s alone, not recorded against 20 s added to others, 1.00 GB against 1.00 GB of "
        "memory, 22.7 M against 1.00 K trained parameters.")
    alone = card([compared("a", "b", 0.1, 0.02, "better")], of, results={"a": {0: dear}, "b": {0: dear}}).beside[0]
    assert "added to others" not in alone.lines[-2].sentence, "what neither side has recorded is left out"


def test_what_was_forgotten_is_told_only_where_it_is_clear() -> None:
    def forgot(*values: float, half: float = 0.01) -> dict[int, Result]:
        return {seed: dataclasses.replace(RESULT, panel_change=Interval(value=v, low=v - half, high=v + half))
                for seed, v in enumerate(values)}

    of = {"a": rows(0.9, 0.9, 0.9), "b": rows(0.8, 0.8, 0.8)}
    test = [compared("a", "b", 0.1, 0.02, "better")]
    more = card(test, of, results={"a": forgot(0.30, 0.31, 0.29), "b": forgot(0.01, 0.02, 0.0)})
    line = next(line for line in more.beside[0].lines if line.subject == "forgetting")
    assert line.word is Word.WORSE and "Forgot more" in line.sentence and "LoRA +0.300" in line.sentence
    assert line.difference is not None and line.difference.value == pytest.approx(0.29)
    for tied in (forgot(0.02, 0.01, 0.0), forgot(0.3, -0.2, 0.1), forgot(0.3, 0.31, 0.29, half=1.0)):
        found = card(test, of, results={"a": tied, "b": forgot(0.01, 0.02, 0.0)})
        assert next(line.word for line in found.beside[0].lines if line.subject == "forgetting") is Word.UNCLEAR
    assert not [line for line in card(test, of).beside[0].lines if line.subject == "forgetting"]


def test_where_nothing_was_forgotten_at_most_one_experiment_in_twenty_says_so() -> None:
    rng = np.random.default_rng(0)
    names, tried, asserted = list(LABELS), 200, 0
    test = [compared(a, b, 0.0, 0.1, "cannot tell") for a, b in (("a", "b"), ("a", "c"), ("b", "c"))]
    of = {name: rows(0.8, 0.8, 0.8, n=10) for name in names}
    for _ in range(tried):
        results = {name: {seed: dataclasses.replace(RESULT, panel_change=Interval(value=v, low=v - 0.02, high=v + 0.02))
                          for seed, v in enumerate(rng.normal(0.1, 0.02, 3))} for name in names}
        found = card(test, of, results=results)
        asserted += any(line.word in (Word.BETTER, Word.WORSE) for beside in found.beside for line in beside.lines
                        if line.subject == "forgetting")
    assert asserted / tried <= 0.05
