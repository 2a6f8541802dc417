"""Passages: nothing is lost, none is too long, and they end where a reader would pause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.data.passages import Cutting, cut, tokens_of

LETTERS = st.text(st.sampled_from("ab .!\n\té語。\U0001f600"), max_size=400)


@hypothesis_settings(max_examples=60, deadline=None)
@given(text=LETTERS, tokens=st.integers(1, 40))
def test_passages_lose_nothing_and_keep_their_length(text: str, tokens: int) -> None:
    found = cut(text, Cutting(tokens=tokens))
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(passage.strip() and tokens_of(passage).sum() <= tokens + 12 for passage in found)


@hypothesis_settings(max_examples=40, deadline=None)
@given(text=LETTERS, tokens=st.integers(1, 40), overlap=st.integers(0, 60))
def test_with_an_overlap_passages_end_too(text: str, tokens: int, overlap: int) -> None:
    found = cut(text, Cutting(tokens=tokens, overlap=overlap))
    assert len(found) <= len(text) and set("".join(text.split())) <= set("".join(found))


@pytest.mark.parametrize(("text", "ends"), [
    ("\n\n".join(["word " * 150] * 6), "word"), ("A sentence is here. " * 200, "."), ("word " * 1000, "word"),
    ("他走了很远的路。" * 200, "。")])
def test_passages_end_where_a_reader_pauses(text: str, ends: str) -> None:
    found = cut(text, Cutting())
    assert len(found) > 2 and all(passage.endswith(ends) for passage in found)
    assert max(tokens_of(passage).sum() for passage in found) <= 232


def test_an_overlap_repeats_the_last_words() -> None:
    text = " ".join(f"w{i}" for i in range(1000))
    first, second, *_ = cut(text, Cutting(tokens=100, overlap=20))
    again = second.split()[0]
    assert again in first.split() and 0 < len(first.split()) - first.split().index(again) < 30


@pytest.mark.parametrize("text", ["", "  \n ", "one"])
def test_short_texts_are_one_passage_or_none(text: str) -> None:
    assert cut(text, Cutting()) == ([text] if text.strip() else [])
    assert cut("word " * 900, Cutting(tokens=0)) == ["word " * 900]
