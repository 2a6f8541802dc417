"""The rows of a finding, or those picked by hand, are dropped."""

from __future__ import annotations

from core.data.mends.mend import Meant, Mend, State

REASONS = {"shift-leakage": "a shift row that repeats a training row",
           "shift-near-leakage": "a shift row that nearly repeats a training row",
           "shift-prompt-leakage": "a shift row with the prompt of a training row",
           "prompt-leakage": "its prompt is on an earlier side of the split",
           "prompt-with-answers": "its prompt has several answers", "template-text": "it holds text of a template",
           "licence-text": "it holds a licence, not the book",
           "mixed-languages": "it is in another language", "turn-weights": "it has turns of weight 0",
           "contradicting-labels": "equal rows have different labels", "label-noise": "its label looks wrong",
           "null-word-class": "its label often means no value", "several-labels": "it has several labels",
           "label-in-text": "its text begins with its label", "very-short-texts": "its text is very short",
           "very-long-texts": "its text is very long", "blank-pictures": "its picture is blank",
           "small-pictures": "its picture is very small", "stretched-pictures": "its picture is very long and narrow"}


def _apply(state: State, meant: Meant) -> State:
    return state.drop(meant.rows, REASONS.get(meant.finding, "dropped by hand"))


MEND = Mend(name="drop-rows", label="Drop these rows",
            answers=tuple(REASONS), apply=_apply, explanation="They are left out of the data.")
