"""Proposed roles and their evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import roles, tables
from core.domain.dataset import Role
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]


def proposed(file: File, settings: Settings, header: str, rows: list[str]) -> dict[str, str]:
    table = tables.read(file("t.csv", "\n".join([header, *rows])), settings=settings)
    return {name: str(p.role) for name, p in roles.propose(table).items()}


def test_common_names(file: File, settings: Settings) -> None:
    rows = [f"{i},some review text number {i},title of it "
            f"{i},{('pos', 'neg')[i % 2]},{('train', 'train', 'test')[i % 3]},site{i % 2}"
            for i in range(30)]
    assert proposed(file, settings, "id,review,title,sentiment,split,source", rows) == {
        "id": "id", "review": "text", "title": "second text", "sentiment": "label", "split": "split",
        "source": "domain"}


def test_unnamed_columns_are_judged_by_their_cells(file: File, settings: Settings) -> None:
    rows = [f"{i * 7},word{i} and several other words,{'abc'[i % 3]}" for i in range(30)]
    assert proposed(file, settings, "foo,bar,baz", rows) == {"foo": "ignore", "bar": "text", "baz": "label"}


def test_text_label_pairs_with_both_number_and_name(file: File, settings: Settings) -> None:
    rows = [f"text number {i},{i % 2},{'pos' if i % 2 else 'neg'}" for i in range(30)]
    found = proposed(file, settings, "text,label,label_text", rows)
    assert found == {"text": "text", "label": "label", "label_text": "ignore"}


@pytest.mark.parametrize(("header", "cells", "label"), [
    ("airline_sentiment,airline,text", "{c},{x},{t}", "airline_sentiment"),
    ("genre,gold_label,sentence1", "{x},{c},{t}", "gold_label"),
    ("asin,overall,reviewText", "{x},{n},{t}", "overall"),
    ("Rating,Class Name,Review Text", "{n},{c},{t}", "Rating"),
    ("topic,user_class,text", "{c},{x},{t}", "topic")],
    ids=["airline-tweets", "mnli", "amazon-reviews", "clothing-reviews", "the-plain-name-first"])
def test_labels_are_known_by_the_words_their_names_end_with(header: str, cells: str, label: str, file: File,
                                                            settings: Settings) -> None:
    rows = [cells.format(c=("good", "bad", "middling")[i % 3], x=("aa", "bb")[i % 2], n=1 + i % 5,
                         t=f"what was said in place {i} and why") for i in range(60)]
    found = proposed(file, settings, header, rows)
    assert [name for name, role in found.items() if role == "label"] == [label]


def test_every_column_has_evidence(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "text,label,x\nhello there,a,\nbye now,b,\n"), settings=settings)
    found = roles.propose(table)
    assert set(found) == {"text", "label", "x"}
    assert all(p.evidence for p in found.values())
    assert found["x"].evidence == "it is empty"


def test_choosing_by_hand(file: File, settings: Settings) -> None:
    rows = "\n".join(f"words of row {i},{'ab'[i % 2]},{'xyz'[i % 3]}" for i in range(12))
    table = tables.read(file("t.csv", "text,label,other\n" + rows), settings=settings)
    found = {n: p.role for n, p in roles.choose(table, label="other").items()}
    assert found == {"text": Role.TEXT, "label": Role.IGNORE, "other": Role.LABEL}
    with pytest.raises(DataError, match="no column 'missing'") as caught:
        roles.choose(table, text="missing")
    assert "'text', 'label', 'other'" in caught.value.why


def test_one_column_of_text_needs_no_label(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "sentence\nhello there\nbye\n"), settings=settings)
    assert {name: p.role for name, p in roles.choose(table).items()} == {"sentence": Role.TEXT}


def test_one_column_of_numbers_is_refused(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "amount\n3\n4\n"), settings=settings)
    with pytest.raises(DataError, match="looks like the text"):
        roles.choose(table)


def test_nested_columns_cannot_be_chosen(file: File, settings: Settings) -> None:
    table = tables.read(file("t.jsonl", '{"text": ["a"], "label": "x"}\n{"text": ["b"], "label": "y"}'),
                        settings=settings)
    with pytest.raises(DataError, match="lists or objects"):
        roles.choose(table, text="text")


def test_two_labels_are_refused(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "text,a,b\nhello,1,2\n"), settings=settings)
    with pytest.raises(DataError, match="Two columns are marked as label: a, b"):
        roles.require_roles(table, {"text": Role.TEXT, "a": Role.LABEL, "b": Role.LABEL})
