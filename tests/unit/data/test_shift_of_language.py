"""A shift set of rows without labels: attached, its groups kept apart, leaks by text and by prompt told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import attach, ingest, library, shapes, tables
from core.domain.dataset import Dataset, Shape
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]


@pytest.fixture
def keep(file: File, settings: Settings) -> Callable[[str, str], Dataset]:
    def run(name: str, content: str) -> Dataset:
        chosen = shapes.choose(tables.read(file(name, content), settings=settings))
        return ingest.ingest(tables.read(file(name, content), settings=settings), roles=chosen.roles, name=name,
                             settings=settings, workspace="w")[0]

    return run


def test_conversations_with_prompts_that_were_trained_on(keep: Callable[[str, str], Dataset],
                                                         settings: Settings) -> None:
    base = keep("base.csv", "prompt,response\n" + "".join(f"what comes after {i}?,{i + 1} does\n" for i in range(40)))
    trained = library.read_rows(base, settings=settings, workspace="w", split="train")["row_id"].to_pylist()
    rows = [f"what comes before {i}?,{i - 1} does\n" for i in range(20)]
    rows += [f"what comes after {trained[0] - 1}?,{trained[0]} does\n", f"what comes after {trained[1] - 1}?,no\n"]
    other = keep("other.csv", "prompt,response\n" + "".join(rows))
    made = attach.attach(base, other, settings=settings, workspace="w").dataset
    assert made.counts["shift"] == {"": 22} and made.shape is Shape.CHAT and made.classes == ()
    codes = {f.code: f.count for f in library.read_report(made, settings=settings, workspace="w").findings}
    assert codes["shift-leakage"] == 1 and codes["shift-prompt-leakage"] == 1
    assert "shift-missing-classes" not in codes and "shift-unmatched" not in codes
    library.verify(made, settings=settings, workspace="w")
    clean = attach.attach(base, other, settings=settings, workspace="w", drop_leaks=True).dataset
    assert clean.counts["shift"] == {"": 20}


def test_groups_of_both_stay_apart_and_kinds_must_agree(keep: Callable[[str, str], Dataset],
                                                        settings: Settings) -> None:
    lines = "text,book\n" + "".join(f"line {{0}} {i} of a long book,{'abcde'[i % 5]}\n" for i in range(30))
    base, other = keep("base.csv", lines.format("one")), keep("other.csv", lines.format("two"))
    made = attach.attach(base, other, settings=settings, workspace="w").dataset
    rows = library.read_rows(made, settings=settings, workspace="w")
    own = {group for group, split in zip(rows["group"].to_pylist(), rows["split"].to_pylist(), strict=True)
           if split == "shift"}
    assert (base.groups, made.groups, len(own)) == (5, 10, 5) and min(own) == 5
    chat = keep("chat.csv", "prompt,response\n" + "".join(f"what comes after {i}?,{i + 1} does\n" for i in range(40)))
    with pytest.raises(DataError, match="cannot be the shift set"):
        attach.attach(base, chat, settings=settings, workspace="w")
    labelled = keep("t.csv", "text,label\n" + "".join(f"line {i} is here,{'ab'[i % 2]}\n" for i in range(30)))
    with pytest.raises(DataError, match="cannot be the shift set"):
        attach.attach(labelled, base, settings=settings, workspace="w")
