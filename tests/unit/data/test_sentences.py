"""The sentences made by rule: one right answer each, told from the sentence alone; test pairs are new ones."""

from __future__ import annotations

import json
import re

from core.data import sentences


def read(sentence: str) -> dict[str, object]:
    """What a careful reader makes of a sentence."""
    words = sentence.casefold()

    def only(values: list[str]) -> str:
        found = [value for value in values if re.search(rf"\b{value.casefold()}\b", words)]
        assert len(found) == 1, (sentence, found)
        return found[0]

    plural = only(list(sentences.THINGS.values()))
    return {"item": next(one for one, many in sentences.THINGS.items() if many == plural),
            "count": sentences.COUNTS[only(list(sentences.COUNTS))], "colour": only(list(sentences.COLOURS)),
            "for": only(list(sentences.NAMES)), "day": only(list(sentences.DAYS))}


def test_each_answer_follows_from_its_sentence() -> None:
    rows = sentences.rows()
    assert len({sentence for sentence, _, _ in rows}) == len(rows) == 600 and rows == sentences.rows()
    for sentence, answer, _ in rows:
        assert json.loads(answer) == read(sentence) and len(answer) < 100 and len(sentence) < 100


def test_test_rows_pair_what_no_training_row_pairs() -> None:
    pairs: dict[str, set[tuple[object, object]]] = {}
    for _, answer, split in sentences.rows():
        pairs.setdefault(split, set()).add((json.loads(answer)["item"], json.loads(answer)["colour"]))
    assert not pairs["test"] & (pairs["train"] | pairs["validation"])
    assert {item for item, _ in pairs["test"]} <= {item for item, _ in pairs["train"]}
