"""Answers of a language model over its training, compared word by word with the untouched model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.analysis import samples
from core.analysis.samples import Kind, Span, diff
from core.data import conversations
from core.data.conversations import Turn


@pytest.mark.parametrize(("before", "after", "expected"), [
    ("a small house", "a small house", [Span("a small house", Kind.SAME)]),
    ("a small house", "a large house",
     [Span("a", Kind.SAME), Span(" small", Kind.GONE), Span(" large", Kind.NEW), Span(" house", Kind.SAME)]),
    ("", "new words", [Span("new words", Kind.NEW)]), ("old", "", [Span("old", Kind.GONE)]), ("", "", []),
    ("one\ntwo", "one two", [Span("one", Kind.SAME), Span("\ntwo", Kind.GONE), Span(" two", Kind.NEW)])])
def test_words_that_are_new_and_gone(before: str, after: str, expected: list[Span]) -> None:
    assert list(diff(before, after)) == expected


def test_a_diff_holds_both_texts() -> None:
    before, after = " Once there was a king. \n", "There was once a queen.\n\n  She "
    spans = diff(before, after)
    assert "".join(span.text for span in spans if span.kind is not Kind.GONE) == after
    assert "".join(span.text for span in spans if span.kind is not Kind.NEW) == before


def line(step: int, *texts: str) -> str:
    prompts = ["Once", conversations.dump([Turn("user", "Who?")])]
    answers = [{"prompt": prompts[i % 2], "text": text, "seed": None if i < 2 else 1, "ended": True}
               for i, text in enumerate(texts)]
    return json.dumps({"step": step, "answers": answers})


def test_a_column_a_step(tmp_path: Path) -> None:
    assert samples.of_run(tmp_path) is None
    (tmp_path / samples.FILE).write_text("\n".join([line(0, "a b", "c", "d"), line(20, "a x", "c", "e"), "{broken",
                                                    '{"step": "1", "answers": []}', line(10, "a b")]), encoding="utf-8")
    found = samples.of_run(tmp_path)
    assert found is not None and found.steps == (0, 10, 20) and found.starts_untouched
    first, chat, drawn = found.asked
    assert (first.prompt, first.seed, first.untouched) == ("Once", None, "a b")
    assert (chat.prompt, drawn.seed) == ("User: Who?", 1)
    assert chat.at(10) is None and [answer.step for answer in first.answers] == [0, 10, 20]
    last = first.at(20)
    assert last is not None and last.spans[-1] == Span(" x", Kind.NEW) and last.ended


def test_of_a_run_that_starts_elsewhere_the_untouched_model_is_beside(tmp_path: Path) -> None:
    (tmp_path / samples.FILE).write_text(line(0, "a y"), encoding="utf-8")
    (tmp_path / samples.UNTOUCHED).write_text(line(0, "a b"), encoding="utf-8")
    found = samples.of_run(tmp_path)
    assert found is not None and not found.starts_untouched
    assert found.asked[0].untouched == "a b" and found.asked[0].answers[0].spans[-1].kind is Kind.NEW
    (tmp_path / samples.UNTOUCHED).write_text("[", encoding="utf-8")
    again = samples.of_run(tmp_path)
    assert again is not None and again.asked[0].untouched == "a y"
