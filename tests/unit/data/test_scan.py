"""Rows are looked at part by part, so that a page's process stays small beside a large dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil

from core.data import browse, ingest, library, tables
from core.domain.dataset import Dataset
from core.settings import Settings

ROLES = {"text": "text", "label": "label"}


def large(file: Callable[[str, str], Path], settings: Settings, *, rows: int, words: int) -> Dataset:
    content = "text,label\n" + "".join(f"row {i} {f'word{i % 977} ' * words},{'ab'[i % 2]}\n" for i in range(rows))
    table = tables.read(file("large.csv", content), settings=settings)
    return ingest.ingest(table, roles=ROLES, name="large", settings=settings, workspace="w")[0]


def test_parts_are_all_rows_in_order(file: Callable[[str, str], Path], settings: Settings) -> None:
    dataset = large(file, settings, rows=40_000, words=3)
    parts = list(library.scan(dataset, settings=settings, workspace="w"))
    assert (max(map(len, parts)) <= 4_096 and [row for part in parts for row in part["row_id"].to_pylist()]
            == list(range(1, 40_001)))
    last = browse.sample_rows(dataset, settings=settings, workspace="w", ids=[1, 20_000, 39_999])
    assert [row["row_id"] for row in last] == [1, 20_000, 39_999]
    found = browse.sample_rows(dataset, settings=settings, workspace="w", search="ROW 39", label="a", n=1_000)
    assert {row["label"] for row in found} == {"a"} and all(row["text"].startswith("row 39") for row in found)
    assert browse.sample_rows(dataset, settings=settings, workspace="w", n=0) == []


def test_looking_at_rows_of_a_large_set_takes_little_memory(file: Callable[[str, str], Path],
                                                            settings: Settings) -> None:
    dataset = large(file, settings, rows=60_000, words=200)           # about 80 MB of text
    browse.sample_rows(dataset, settings=settings, workspace="w", n=1)
    before = psutil.Process().memory_info().rss
    assert len(browse.sample_rows(dataset, settings=settings, workspace="w", n=50)) == 50
    assert browse.sample_rows(dataset, settings=settings, workspace="w", search="nothing like it") == []
    assert psutil.Process().memory_info().rss - before < 60_000_000
