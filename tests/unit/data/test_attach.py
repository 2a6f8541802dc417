"""Shift sets: labels matched, unmatched ones counted, nothing trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import attach, ingest, library, tables
from core.domain.dataset import Dataset, Role
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]


@pytest.fixture
def keep(file: File, settings: Settings) -> Callable[[str, list[tuple[str, str]]], Dataset]:
    def run(name: str, rows: list[tuple[str, str]]) -> Dataset:
        table = tables.read(file(name, "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)),
                            settings=settings)
        return ingest.ingest(table, roles={"text": Role.TEXT, "label": Role.LABEL}, name=name, settings=settings,
                             workspace="w")[0]

    return run


@pytest.fixture
def base(keep: Callable[[str, list[tuple[str, str]]], Dataset]) -> Dataset:
    return keep("base.csv", [(f"base text {i}", ("Sport", "News")[i % 2]) for i in range(30)])


@pytest.fixture
def other(keep: Callable[[str, list[tuple[str, str]]], Dataset]) -> Dataset:
    rows = [(f"other text {i}", ("sport", "NEWS ", "music")[i % 3]) for i in range(30)]
    return keep("other.csv", [*rows, *[(f"base text {i}", "sport") for i in range(30)]])


def test_matched_rows_become_the_shift_set(base: Dataset, other: Dataset, settings: Settings) -> None:
    made = attach.attach(base, other, settings=settings, workspace="w")
    assert made.matched == {"sport": "Sport", "NEWS ": "News"}
    assert made.unmatched == {"music": 10}
    assert made.repeated == base.rows("train")
    assert made.dataset.counts["shift"] == {"News": 10, "Sport": 40}
    assert {name: counts for name, counts in made.dataset.counts.items() if name != "shift"} == base.counts
    table = library.read_rows(made.dataset, settings=settings, workspace="w")
    assert len(set(table["row_id"].to_pylist())) == table.num_rows == 80
    assert table.slice(0, 30).equals(library.read_rows(base, settings=settings, workspace="w"))
    shift = library.read_rows(made.dataset, settings=settings, workspace="w", split="shift").to_pylist()
    assert [made.dataset.classes[row["label"]] for row in shift[:4]] == ["Sport", "News", "Sport", "News"]
    codes = [f.code for f in library.read_report(made.dataset, settings=settings, workspace="w").findings]
    assert codes[:3] == ["shift-set", "shift-leakage", "shift-unmatched"]


def test_matches_by_hand_and_the_same_pair_twice(base: Dataset, other: Dataset, settings: Settings) -> None:
    first = attach.attach(base, other, settings=settings, workspace="w")
    assert attach.attach(base, other, settings=settings, workspace="w").dataset == first.dataset
    by_hand = attach.attach(base, other, settings=settings, workspace="w", labels={"music": "News"})
    assert by_hand.unmatched == {}
    assert by_hand.dataset.counts["shift"] == {"News": 20, "Sport": 40}
    assert by_hand.dataset.id != first.dataset.id
    with pytest.raises(DataError, match="no class 'Jazz'"):
        attach.attach(base, other, settings=settings, workspace="w", labels={"music": "Jazz"})


def test_nothing_in_common_or_a_second_shift_set(base: Dataset, other: Dataset, settings: Settings,
                                                 keep: Callable[[str, list[tuple[str, str]]], Dataset]) -> None:
    strange = keep("strange.csv", [(f"text {i}", ("x", "y")[i % 2]) for i in range(20)])
    with pytest.raises(DataError, match="No label of"):
        attach.attach(base, strange, settings=settings, workspace="w")
    made = attach.attach(base, other, settings=settings, workspace="w").dataset
    with pytest.raises(DataError, match="already has a shift set"):
        attach.attach(made, other, settings=settings, workspace="w")
