"""Rows without labels: passages and conversations kept, sealed, hashed, browsed and mended like any others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data import browse, conversations, ingest, library, mending, mends, row_pages, tables
from core.data.check import Options
from core.data.conversations import Turn
from core.domain.dataset import Dataset, Role, Shape, Task
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
CHAT = {"question": Role.PROMPT, "answer": Role.RESPONSE}


@pytest.fixture
def keep(file: File, settings: Settings) -> Callable[..., Dataset]:
    def run(name: str, content: str | bytes, roles: Mapping[str, str], **options: object) -> Dataset:
        table = tables.read(file(name, content), settings=settings)
        return ingest.ingest(table, roles=roles, name="mine", settings=settings, workspace="w",
                             options=Options(**options))[0]  # type: ignore[arg-type]

    return run


def _questions(n: int = 40) -> str:
    return "question,answer\n" + "".join(f"What is the number after {i * 7}?,It is {i * 7 + 1}.\n" for i in range(n))


def test_conversations_are_rows_without_a_label(keep: Callable[..., Dataset], settings: Settings) -> None:
    made = keep("chat.csv", _questions(), CHAT)
    assert (made.task, made.shape, made.classes, made.groups) == (Task.LANGUAGE_MODELLING, Shape.CHAT, (), 0)
    assert made.counts == {"train": {"": 28}, "validation": {"": 4}, "test": {"": 8}}
    path = library.folder(made, settings=settings, workspace="w") / "rows.parquet"
    import pyarrow.parquet as pq
    assert pq.read_schema(path).names == ["row_id", "text", "split"]
    library.verify(made, settings=settings, workspace="w")
    rows = library.read_rows(made, settings=settings, workspace="w")
    assert set(rows["label"].to_pylist()) == {-1}
    assert conversations.load(rows["text"][2].as_py()) == (
        Turn("user", "What is the number after 14?"), Turn("assistant", "It is 15."))
    shown = browse.sample_rows(made, settings=settings, workspace="w", ids=[3])
    assert shown == [{"row_id": 3, "text": "User: What is the number after 14?\nAssistant: It is 15.", "label": ""}]
    page = row_pages.page(made, path.parent, sort="row", n=1)
    assert page.rows[0]["label"] == "" and page.rows[0]["text"].startswith("User: What is the number after 0?")


def test_equal_rows_are_one_dataset_and_other_groups_another(keep: Callable[..., Dataset]) -> None:
    text = "text,book\n" + "".join(f"sentence {i} stands here,{'abcde'[i % 5]}\n" for i in range(30))
    roles = {"text": Role.TEXT, "book": Role.GROUP}
    first, again = keep("a.csv", text, roles), keep("b.csv", text, roles)
    other = keep("c.csv", text.replace(",e\n", ",d\n"), roles)
    assert first.id == again.id != other.id and (first.groups, other.groups) == (5, 4)


def test_rows_are_dropped_like_any_others(keep: Callable[..., Dataset], settings: Settings) -> None:
    made = keep("chat.csv", _questions() + "What is the number after 7?,It is 8.\n", CHAT)
    new = mending.mend(made, [mends.Step(mend="drop-repeats", finding="exact-duplicates")], settings=settings,
                       workspace="w")
    assert (new.rows_kept, new.classes, new.shape, new.task) == (40, (), Shape.CHAT, Task.LANGUAGE_MODELLING)
    assert sum(new.counts["train"].values()) + sum(new.counts["test"].values()) <= 40
    library.verify(new, settings=settings, workspace="w")


def test_the_engine_reads_shape_and_groups(keep: Callable[..., Dataset], settings: Settings) -> None:
    from core.training.session import read_rows

    text = "text,book\n" + "".join(f"sentence {i} stands here,{'abcde'[i % 5]}\n" for i in range(30))
    rows = read_rows(keep("a.csv", text, {"text": Role.TEXT, "book": Role.GROUP}), settings=settings, workspace="w")
    assert rows.shape is Shape.TEXT and rows.groups is not None and rows.groups.tolist() == [i % 5 for i in range(30)]
    assert (rows.labels == -1).all() and rows.classes == ()
    rows = read_rows(keep("chat.csv", _questions(), CHAT), settings=settings, workspace="w")
    assert rows.shape is Shape.CHAT and rows.groups is None and conversations.load(rows.content[0])


@given(turns=st.lists(st.builds(Turn, st.sampled_from(conversations.ROLES), st.text()), min_size=1))
def test_what_is_dumped_is_loaded(turns: list[Turn]) -> None:
    assert conversations.load(conversations.dump(turns)) == tuple(turns)
    assert json.loads(conversations.dump(turns))[0].keys() == {"role", "content"}


@pytest.mark.parametrize("text", ["no JSON", "{}", "[1]", '[{"role": "user"}]', "[]", "3"])
def test_what_is_no_conversation_reads_as_it_is(text: str) -> None:
    assert conversations.readable(text) == text


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=30), seed=st.integers(0, 5))
def test_no_group_is_cut_and_three_are_enough(sizes: list[int], seed: int) -> None:
    from core.data import splits

    groups = np.repeat(np.arange(len(sizes)), sizes)
    found = splits.whole_groups(groups, seed=seed)
    assert all(len(set(found[groups == group])) == 1 for group in range(len(sizes)))
    assert len(set(found)) == 3 or len(sizes) < 3
