"""Exact and near duplicates."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data import duplicates

WORDS = [f"word{i}" for i in range(2000)]


def article(seed: int, words: int = 150) -> list[str]:
    return random.Random(seed).choices(WORDS, k=words)


def test_case_and_spaces_do_not_count_for_exact_duplicates() -> None:
    assert duplicates.exact_groups(["Hello  World", " hello world\n", "hello worlds"]).tolist() == [0, 0, 1]


def test_an_edited_text_is_a_near_duplicate_and_others_are_not() -> None:
    texts = [" ".join(article(seed)) for seed in range(100)]
    edited = article(7)
    edited[40] = "changed"
    texts += [" ".join(edited), " ".join(article(7)[:75] + article(501)[:75])]
    groups = duplicates.near_groups(texts)
    assert groups[100] == groups[7]
    assert len(set(groups.tolist())) == 101


def test_scripts_without_spaces() -> None:
    letters = [chr(0x4E00 + i) for i in range(500)]
    text = "".join(random.Random(0).choices(letters, k=300))
    other = "".join(random.Random(1).choices(letters, k=300))
    groups = duplicates.near_groups([text, text[:150] + "一" + text[151:], other])
    assert groups[0] == groups[1] != groups[2]


def test_jaccard_is_shared_over_all() -> None:
    a, b = np.array([1, 2, 3], dtype=np.uint64), np.array([2, 3, 4, 5], dtype=np.uint64)
    assert duplicates.jaccard(a, b) == pytest.approx(2 / 5)


@given(st.lists(st.text(max_size=60), max_size=30))
def test_near_groups_contain_exact_groups(texts: list[str]) -> None:
    exact, near = duplicates.exact_groups(texts), duplicates.near_groups(texts)
    assert len(near) == len(texts)
    for group in set(exact.tolist()):
        assert len(set(near[exact == group].tolist())) == 1


def test_shingle_hashes_are_those_of_the_bytes_wherever_they_stand() -> None:
    piece = b"the quick brown fox jumps over the lazy dog and runs away"
    alone, _ = duplicates._shingle_hashes([piece])
    both, offsets = duplicates._shingle_hashes([b"something else that comes before all of it", piece])
    assert alone.tolist() == both[offsets[1] :].tolist()


def test_comparisons_grow_with_the_rows_not_with_their_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst case: one form letter with other names, so that all rows share bands but few are alike enough."""
    letter = article(0, 90)
    texts = [" ".join([*letter, *article(seed, 30)]) for seed in range(1, 401)]
    compared = []
    jaccard = duplicates.jaccard
    monkeypatch.setattr(duplicates, "jaccard", lambda a, b: compared.append(jaccard(a, b)) or compared[-1])
    groups = duplicates.near_groups(texts)
    assert len(set(groups.tolist())) > 350, "they are not near duplicates"
    assert len(texts) < len(compared) <= 2 * duplicates.BANDS * len(texts) < len(texts) ** 2 / 20
