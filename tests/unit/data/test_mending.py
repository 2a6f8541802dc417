"""Mends: what each does to rows, that every row is accounted for, and that undo brings back the dataset as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.data import attach, found, ingest, leaky_splits, library, mending, mends, recheck, row_pages, tables, versions
from core.data.leaks import leaks, twins
from core.data.mends import Meant, State, Step
from core.domain.dataset import Dataset, Role
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
HEAD = "text,label,split\n"


def messy() -> list[tuple[str, str, str]]:
    """Fifty distinct rows of three classes, and below them one fault of each kind."""
    split = ("train", "train", "train", "validation", "test")
    rows = [(f"sentence {i} about {('sport', 'news', 'music')[i % 3]} {hashlib.md5(str(i).encode()).hexdigest()}",
             ("sport", "news", "music")[i % 3], split[i // 3 % 5]) for i in range(50)]
    first = rows[0][0]
    return [*rows,
            (first, "sport", "train"), (first, "sport", "test"),     # 51 repeats 1; 52 leaks into test
            (rows[1][0], "music", "train"),                          # 53 contradicts 2
            ("a spelling of its own", "Sport ", "train"),            # 54
            ("rare one", "odd", "train"), ("rare two", "odd", "test")]  # 55, 56


@pytest.fixture
def dataset(file: File, settings: Settings) -> Dataset:
    text = HEAD + "".join(f"{','.join(row)}\n" for row in messy())
    table = tables.read(file("messy.csv", text), settings=settings)
    return ingest.ingest(table, roles={"text": Role.TEXT, "label": Role.LABEL, "split": Role.SPLIT}, name="messy",
                         settings=settings, workspace="w")[0]


def folder(dataset: Dataset, settings: Settings) -> Path:
    return library.folder(dataset, settings=settings, workspace="w")


def do(dataset: Dataset, settings: Settings, *steps: Step) -> Dataset:
    return mending.mend(dataset, steps, settings=settings, workspace="w")


def ids(dataset: Dataset, settings: Settings) -> set[int]:
    return set(library.read_rows(dataset, settings=settings, workspace="w")["row_id"].to_pylist())


def test_every_finding_has_all_of_its_rows(dataset: Dataset, settings: Settings) -> None:
    place = folder(dataset, settings)
    counts = found.counts(place) or {}
    assert counts.items() >= {"exact-duplicates": 3, "leakage": 1, "contradicting-labels": 2, "label-spelling": 1,
                              "rare-classes": 3}.items()
    leak = found.rows_of(place, "leakage")
    assert leak is not None and (leak.row_id.tolist(), leak.twin.tolist()) == ([52], [1])
    torn = found.rows_of(place, "contradicting-labels")
    assert torn is not None and (torn.row_id.tolist(), torn.twin.tolist()) == ([2, 53], [53, 2])
    spelt = found.rows_of(place, "label-spelling")
    assert spelt is not None and (spelt.row_id.tolist(), spelt.suggested) == ([54], ("sport",))


def test_each_mend_changes_what_it_says(dataset: Dataset, settings: Settings) -> None:
    place = folder(dataset, settings)
    start = mending.state(place, dataset)

    def after(mend: str, finding: str = "", **fields: object) -> tuple[set[int], State]:
        end = mending.carried_out(start, [Step(mend=mend, finding=finding, **fields)], place=place)  # type: ignore[arg-type]
        return set(end.row_id[~end.kept].tolist()), end

    assert after("drop-leaks", "leakage")[0] == {52}
    assert after("drop-repeats", "exact-duplicates")[0] == {51, 52, 53}
    assert after("drop-rows", "contradicting-labels")[0] == {2, 53}
    assert after("keep-majority-label", "contradicting-labels")[0] == {2, 53}, "one against one: neither is right"
    assert after("drop-classes", "rare-classes")[0] == {54, 55, 56}
    assert after("drop-classes", classes=("odd",))[0] == {55, 56}
    assert after("drop-rows", rows=(3, 4))[0] == {3, 4}
    dropped, end = after("move-leaks", "leakage")
    assert not dropped and end.split[end.row_id == 52] == "train"
    dropped, end = after("merge-labels", "label-spelling")
    assert not dropped and set(end.label) == {"sport", "news", "music", "odd"}
    assert after("keep-this-label", "contradicting-labels", rows=(53,))[1].label[1] == "music"
    assert after("give-label", rows=(1,), name="news")[1].label[0] == "news"
    assert set(after("join-classes", classes=("odd", "music"), name="other")[1].label) == {"sport", "Sport ", "news",
                                                                                         "other"}
    with pytest.raises(DataError, match="no mend 'burn'"):
        after("burn")


def test_chosen_together_no_row_of_a_group_is_lost(dataset: Dataset, settings: Settings) -> None:
    """Row 1 has a repeat in train and one in test: dropping leaks and repeats leaves one of the three."""
    new = do(dataset, settings, Step(mend="drop-repeats", finding="exact-duplicates"),
             Step(mend="drop-leaks", finding="leakage"), Step(mend="merge-labels", finding="label-spelling"))
    assert ids(new, settings) == set(range(1, 57)) - {51, 52, 53}
    report = library.read_report(new, settings=settings, workspace="w")
    assert {"exact-duplicates", "leakage", "contradicting-labels", "label-spelling"}.isdisjoint(
        finding.code for finding in report.findings)
    assert (report.rows_read, report.rows_kept, len(report.left_out)) == (56, 53, 3)
    assert (new.rows_read, new.rows_kept) == (56, 53) and new.name == "messy"
    assert {item.row: item.reason for item in report.left_out} == {
        51: "it repeats another row", 53: "it repeats another row",
        52: "a twin of it is on an earlier side of the split"}


def test_the_new_one_is_in_the_list_and_the_old_one_stays_for_its_runs(dataset: Dataset, settings: Settings) -> None:
    new = do(dataset, settings, Step(mend="drop-classes", classes=("odd",)))
    assert [d.id for d in library.list_datasets(settings=settings, workspace="w")] == [new.id]
    library.verify(dataset, settings=settings, workspace="w")
    assert library.load(dataset.id, settings=settings, workspace="w") == dataset
    library.verify(new, settings=settings, workspace="w")
    known = versions.before(folder(new, settings))
    assert known is not None and known[0] == dataset.id
    assert known[1].changes.dropped == {"its class was dropped": 2}
    assert (known[1].changes.rows_before, known[1].changes.rows_after) == (56, 54)
    assert known[1].changes.before == dataset.counts


@pytest.mark.parametrize("keep", [False, True])
def test_undo_brings_back_exactly_what_was_there(dataset: Dataset, settings: Settings, keep: bool) -> None:
    def content() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in folder(dataset, settings).iterdir() if p.name != "seal.json"}

    was = content()
    new = do(dataset, settings, Step(mend="drop-leaks", finding="leakage"))
    assert versions.undo(folder(new, settings), keep=keep) == dataset.id
    assert content() == was
    assert library.list_datasets(settings=settings, workspace="w") == [dataset]
    assert folder(new, settings).is_dir() == keep
    assert versions.before(folder(dataset, settings)) is None, "an undone mend is nothing to undo"
    again = do(dataset, settings, Step(mend="drop-leaks", finding="leakage"))
    assert again.id == new.id and [d.id for d in library.list_datasets(settings=settings, workspace="w")] == [new.id]


def test_a_dataset_in_the_middle_may_be_deleted(dataset: Dataset, settings: Settings) -> None:
    second = do(dataset, settings, Step(mend="drop-leaks", finding="leakage"))
    third = do(second, settings, Step(mend="drop-classes", classes=("odd",)))
    library.delete(second.id, settings=settings, workspace="w")
    assert [d.id for d in library.list_datasets(settings=settings, workspace="w")] == [third.id]
    library.delete(third.id, settings=settings, workspace="w")
    assert [d.id for d in library.list_datasets(settings=settings, workspace="w")] == [dataset.id]


def test_what_leaves_nothing_to_learn_or_changes_nothing_is_refused(dataset: Dataset, settings: Settings) -> None:
    with pytest.raises(DataError, match="same label"):
        do(dataset, settings, Step(mend="drop-classes", classes=("odd", "news", "music", "Sport ")))
    with pytest.raises(DataError, match="Nothing would change"):
        do(dataset, settings, Step(mend="drop-classes", classes=("not there",)))
    assert library.list_datasets(settings=settings, workspace="w") == [dataset]


def test_a_dataset_of_an_earlier_version_is_checked_again_and_mended(dataset: Dataset, settings: Settings) -> None:
    place = folder(dataset, settings)
    before = (found.counts(place), library.read_report(dataset, settings=settings, workspace="w"))
    for name in (found.FOUND, found.GROUPS):
        (place / name).unlink()
    assert found.counts(place) is None
    recheck.dataset(dataset, settings=settings, workspace="w")
    assert (found.counts(place), library.read_report(dataset, settings=settings, workspace="w")) == before
    assert ids(do(dataset, settings, Step(mend="drop-leaks", finding="leakage")), settings) == set(range(1, 57)) - {52}


def test_rows_of_a_finding_come_in_pages(dataset: Dataset, settings: Settings) -> None:
    def page(**asked: object) -> row_pages.RowPage:
        got = row_pages.of_finding(dataset, "exact-duplicates", settings=settings, workspace="w", **asked)  # type: ignore[arg-type]
        assert got is not None
        return got

    assert [row["row_id"] for row in page().rows] == [51, 52, 53]
    assert page().rows[1] | {"text": ""} == {"row_id": 52, "text": "", "label": "sport", "split": "test",
                                             "twin": "row 1 (train, sport)", "suggested": None}
    assert [row["row_id"] for row in page(sort="row", descending=True, start=1, n=1).rows] == [52]
    assert [row["row_id"] for row in page(sort="label").rows] == [53, 51, 52]
    hit = page(search="SENTENCE 1 ABOUT")
    assert ([row["row_id"] for row in hit.rows], hit.total, hit.of) == ([53], 1, 3)
    everything = row_pages.page(dataset, folder(dataset, settings), split="test", n=2)
    assert (len(everything.rows), everything.total) == (2, dataset.rows("test"))
    with pytest.raises(DataError, match="cannot be sorted"):
        page(sort="colour")


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["train", "validation", "test", "shift"]),
                          st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=25)
STEPS = st.lists(st.tuples(st.sampled_from(list(mends.REGISTRY)), st.sets(st.integers(0, 24)), st.sampled_from("abcd")),
                 max_size=5)


@given(ROWS, STEPS)
@hypothesis_settings(deadline=None, max_examples=150)
def test_rows_before_are_rows_after_and_dropped(rows: list[tuple[str, str, int, int]],
                                                steps: list[tuple[str, set[int], str]]) -> None:
    n = len(rows)
    exact = np.asarray([group for *_, group, _ in rows])
    start = State(row_id=np.arange(n), label=np.asarray([label for label, *_ in rows], dtype=object),
                  split=np.asarray([split for _, split, *_ in rows], dtype=object), exact=exact, near=exact // 2,
                  why=np.full(n, "", dtype=object))
    kept = start.label.copy()
    now = start
    for name, picked, label in steps:
        was = now
        now = mends.get(name).apply(now, Meant(rows=np.isin(np.arange(n), list(picked)), classes=("a", label),
                                               name=label, suggested=dict.fromkeys(picked, label)))
        assert not (now.kept & ~was.kept).any(), "what was dropped stays dropped"
    changed = mending.changes(start, now)
    assert changed.rows_before == n == changed.rows_after + sum(changed.dropped.values())
    assert changed.rows_after == int(now.kept.sum())
    assert (start.label == kept).all() and start.kept.all(), "a mend changes nothing in place"


@given(ROWS)
@hypothesis_settings(deadline=None, max_examples=100)
def test_after_dropping_leaks_there_are_none_and_no_content_is_lost(rows: list[tuple[str, str, int, int]]) -> None:
    n, groups = len(rows), np.asarray([group for *_, group, _ in rows])
    start = State(row_id=np.arange(n), label=np.asarray([label for label, *_ in rows], dtype=object),
                  split=np.asarray([split for _, split, *_ in rows], dtype=object), exact=groups, near=groups,
                  why=np.full(n, "", dtype=object))
    end = mends.get("drop-leaks").apply(start, Meant(rows=np.ones(n, dtype=bool), finding="leakage"))
    kept = np.flatnonzero(end.kept)
    assert not len(leaks(end.split[kept].astype(str), groups[kept]))
    assert set(groups[kept]) == set(groups)
    end = mends.get("drop-repeats").apply(end, Meant(rows=np.ones(n, dtype=bool), finding="exact-duplicates"))
    inside = end.kept & (end.split != "shift")
    assert len(set(groups[inside])) == int(inside.sum())


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=20))
@hypothesis_settings(deadline=None, max_examples=100)
def test_a_twin_is_another_row_of_the_group(rows: list[tuple[int, int]]) -> None:
    groups, labels = (np.asarray(column) for column in zip(*rows, strict=True))
    at = np.arange(len(rows))
    other, unlike = twins(at, groups), twins(at, groups, apart=labels)
    for i in at.tolist():
        mates = [j for j in at.tolist() if groups[j] == groups[i] and j != i]
        assert (other[i] in mates) if mates else other[i] == i
        differing = [j for j in mates if labels[j] != labels[i]]
        if differing:
            assert unlike[i] in differing


def test_leaks_are_a_fact_to_say_beside_numbers(dataset: Dataset, settings: Settings) -> None:
    leaks_of = leaky_splits.of(dataset, settings=settings, workspace="w")
    assert leaks_of == {"test": leaky_splits.Leaks(rows=1, of=dataset.rows("test"))}
    assert leaks_of["test"].sentence("test").startswith(f"1 of {dataset.rows('test')} test rows")
    new = do(dataset, settings, Step(mend="drop-leaks", finding="leakage"))
    assert leaky_splits.of(new, settings=settings, workspace="w") == {}


def test_pictures_are_mended_and_their_checks_run_on_what_is_kept(picture: Callable[..., bytes],
                                                                  archive: Callable[..., Path],
                                                                  settings: Settings) -> None:
    files = {f"{'cat' if i % 2 else 'dog'}/{i}.png": picture(i) for i in range(24)}
    files |= {"dog/again.png": picture(0), "cat/wrong.png": picture(2), "dog/small.png": picture(90)}
    table = tables.read(archive(files), settings=settings)
    old = ingest.ingest(table, roles={"image": Role.IMAGE, "label": Role.LABEL}, name="pets", settings=settings,
                        workspace="w")[0]
    was = {f.code: f.count for f in library.read_report(old, settings=settings, workspace="w").findings}
    assert {"exact-duplicates": 2, "contradicting-labels": 2, "small-pictures": 27}.items() <= was.items()
    new = do(old, settings, Step(mend="drop-rows", finding="contradicting-labels"))
    now = {f.code: f.count for f in library.read_report(new, settings=settings, workspace="w").findings}
    assert {"exact-duplicates": 1, "small-pictures": 25}.items() <= now.items() and "contradicting-labels" not in now
    assert now["picture-sizes"] == was["picture-sizes"], "what only the files could tell stays as it was said"
    library.verify(new, settings=settings, workspace="w")
    (folder(new, settings) / found.FOUND).unlink()
    recheck.dataset(new, settings=settings, workspace="w")
    assert (found.counts(folder(new, settings)) or {})["exact-duplicates"] == 1


def test_a_shift_set_survives_a_mend_and_its_leaks_can_be_dropped(dataset: Dataset, file: File,
                                                                  settings: Settings) -> None:
    train = library.read_rows(dataset, settings=settings, workspace="w", split="train").to_pylist()[:2]
    rows = [(f"another source {i}", ("sport", "news")[i % 2]) for i in range(12)]
    rows += [(row["text"], dataset.classes[row["label"]]) for row in train]
    table = tables.read(file("other.csv", "text,label\n" + "".join(f"{a},{b}\n" for a, b in rows)), settings=settings)
    other = ingest.ingest(table, roles={"text": Role.TEXT, "label": Role.LABEL}, name="other", settings=settings,
                          workspace="w")[0]
    joined = attach.attach(dataset, other, settings=settings, workspace="w", in_place=True).dataset
    report = library.read_report(joined, settings=settings, workspace="w")
    assert report.rows_read == report.rows_kept + len(report.left_out) == joined.rows_read
    new = do(joined, settings, Step(mend="drop-rows", finding="shift-leakage"),
             Step(mend="merge-labels", finding="label-spelling"))
    assert (new.rows("shift"), new.rows_kept) == (12, joined.rows_kept - 2)
    codes = {f.code for f in library.read_report(new, settings=settings, workspace="w").findings}
    assert {"shift-set", "shift-missing-classes", "leakage"} <= codes and "shift-leakage" not in codes
    assert leaky_splits.of(joined, settings=settings, workspace="w")["shift"].rows == 2
    assert "shift" not in leaky_splits.of(new, settings=settings, workspace="w")
    off = do(joined, settings, Step(mend="take-off-shift"))
    assert off == dataset, "the rows of before are the dataset of before"
