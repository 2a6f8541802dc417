"""What is asked and answered survives the way between processes; what cannot be answered is refused in three parts."""

from __future__ import annotations

import json

import pytest

from core.domain import codec
from core.domain.side import Side, Which
from core.errors import ThawError
from core.serving.question import Answer, Answers, Drawing, Question, State, WeightFile, same

SIDE = Side(run="/a/run", which=Which.BASE)


def test_questions_and_answers_travel_whole() -> None:
    question = Question(sides=(SIDE, Side(run="/b", strength=0.5)), visitor="v", texts=("one", "two"),
                        drawing=Drawing(temperature=0.7, seed=3))
    assert codec.read(Question, json.loads(json.dumps(codec.to_json(question)))) == question
    assert question.text(1) == "two"
    answers = Answers(answers=(Answer(state=State.DONE, probabilities={"a": 0.25, "b": 0.75}, digest="x", label="b",
                                      files=(WeightFile(name="f", sha256="s", size_bytes=3),), notes=("n",)),
                               Answer(error={"what": "w", "why": "y", "remedy": "r"}, state=State.FAILED)), place=2)
    assert codec.read(Answers, json.loads(json.dumps(codec.to_json(answers)))) == answers
    assert answers.final


@pytest.mark.parametrize("question", [
    Question(sides=(SIDE,)), Question(sides=(SIDE,), texts=(" \n",)),
    Question(sides=(SIDE,), texts=("\u200b\x00",)), Question(sides=(SIDE,), texts=("half \ud83d",)),
    Question(sides=(), texts=("x",)),
    Question(sides=(SIDE,) * 5, texts=("x",)), Question(sides=(SIDE,), texts=("x", "y")),
    Question(sides=(SIDE,), texts=("x" * 200_001,)), Question(sides=(SIDE,), texts=("x",), drawing=Drawing(most=0)),
    Question(sides=(SIDE,), texts=("x",), drawing=Drawing(temperature=float("nan"))),
    Question(sides=(SIDE,), texts=("x",), drawing=Drawing(top_p=1.5)),
    Question(sides=(SIDE,), texts=("x",), drawing=Drawing(seed=-1))], ids=str)
def test_what_cannot_be_answered_is_refused_in_three_parts(question: Question) -> None:
    with pytest.raises(ThawError) as refused:
        question.check()
    assert refused.value.what and refused.value.why and refused.value.remedy


def test_only_finished_answers_with_equal_bits_are_the_same() -> None:
    one, other = Answer(state=State.DONE, digest="1"), Answer(state=State.DONE, digest="2")
    going = Answer(state=State.WORKING, digest="1")
    assert same([one, other, one, going]) == [[0, 2]]
    assert same([one, other, Answer(state=State.DONE), Answer(state=State.DONE)]) == []
