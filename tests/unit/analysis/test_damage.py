"""Damaged files of runs and datasets are found, named and deleted, one by one."""

from __future__ import annotations

import errno
import json
import sqlite3
from pathlib import Path

import pytest

from core import disk, unforeseen, values
from core.analysis import damage
from core.api import Thaw
from core.data import library
from core.domain import codec
from core.domain.dataset import Dataset
from core.domain.recipe import Recipe
from core.domain.run import Status
from core.domain.side import Side
from core.errors import DataError, FailureKind, ThawError
from core.settings import Settings
from core.store import Store
from tests.conftest import WORKSPACE, write_dataset

RECIPE = Recipe(dataset="d", base_model="m", method="probe")


def test_what_is_written_reads_back_strictly_too(tiny_dataset: Dataset) -> None:
    for value in (tiny_dataset, RECIPE, RECIPE.replace(label_budget=7)):
        assert codec.read(type(value), json.loads(json.dumps(codec.to_json(value)))) == value


@pytest.mark.parametrize(("change", "named"), [
    ({"rows_kept": "many"}, "rows_kept"), ({"counts": {"train": {"a": "x"}}}, "counts.train.a"),
    ({"counts": [1]}, "list"),
    ({"classes": [1, 2]}, "classes"), ({"classes": None}, "None"), ({"mean_length": "long"}, "mean_length"),
    ({"task": "sculpting"}, "sculpting"),
    ({"rows_read": True}, "rows_read"), ({"name": None}, "name")])
def test_a_value_of_another_type_is_named(tiny_dataset: Dataset, change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        codec.read(Dataset, {**codec.to_json(tiny_dataset), **change})


@pytest.mark.parametrize("data", [None, 3, [1], "text", {}, {"id": {}}])
def test_no_value_at_all_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        codec.read(Dataset, data)


def test_a_file_of_wrong_types_is_none(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    for text in ("{", "[]", json.dumps({**RECIPE.to_json(), "epochs": "three"}), "[" * 100_000):
        path.write_text(text, encoding="utf-8")
        assert values.read(path, Recipe) is None
    path.write_text(json.dumps(RECIPE.to_json()), encoding="utf-8")
    assert values.read(path, Recipe) == RECIPE


def test_datasets_that_cannot_be_read_are_listed_apart(settings: Settings) -> None:
    good, bad = write_dataset(settings, n_rows=30), write_dataset(settings, n_rows=60)
    folder = library.folder(bad.id, settings=settings, workspace=WORKSPACE)
    (folder / "dataset.json").write_text("{", encoding="utf-8")
    (folder.parent / ".new-abc").mkdir()
    assert [dataset.id for dataset in library.list_datasets(settings=settings, workspace=WORKSPACE)] == [good.id]
    assert "dataset.json" in library.damaged(settings=settings, workspace=WORKSPACE)[bad.id]
    with pytest.raises(DataError, match=r"dataset\.json"):
        library.find(bad.id, settings=settings, workspace=WORKSPACE)
    library.delete(bad.id, settings=settings, workspace=WORKSPACE)
    assert not folder.exists() and library.damaged(settings=settings, workspace=WORKSPACE) == {}


def test_a_damaged_dataset_in_use_is_not_deleted(settings: Settings) -> None:
    from core.domain.run import JobKind
    from core.store.jobs import NewJob

    thaw, bad = Thaw(settings), write_dataset(settings, n_rows=60)
    job = Store(settings).jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name="its run",
                                              runs_folder=settings.home, recipe=RECIPE.replace(dataset=bad.id))])[0]
    (library.folder(bad.id, settings=settings, workspace=WORKSPACE) / "dataset.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ThawError, match="need it: Linear probe"):
        thaw.data.delete(WORKSPACE, bad.id)
    thaw.runs.stop(WORKSPACE, job)
    thaw.data.delete(WORKSPACE, bad.id)
    assert thaw.data.damaged(WORKSPACE) == {}


def test_files_of_a_run_are_looked_at_one_by_one(tmp_path: Path) -> None:
    assert damage.of_run(tmp_path / "nowhere") == {}
    (tmp_path / "artifact").mkdir()
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE.to_json()), encoding="utf-8")
    (tmp_path / "artifact" / "labels.json").write_text('{"classes": ["a"]}', encoding="utf-8")
    (tmp_path / "predictions-test.parquet").write_bytes(b"PAR1 much between PAR1")
    assert damage.of_run(tmp_path) == {}
    (tmp_path / "artifact" / "labels.json").write_text('{"classes": "a, b"}', encoding="utf-8")
    (tmp_path / "result.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "predictions-shift.parquet").write_bytes(b"PAR1 cut")
    assert set(damage.of_run(tmp_path)) == {"artifact/labels.json", "result.json", "predictions-shift.parquet"}


@pytest.mark.parametrize("name", ["recipe.json", "artifact/labels.json"])
def test_a_side_whose_files_are_damaged_names_them(settings: Settings, tmp_path: Path, name: str) -> None:
    from core.training import artifact

    (tmp_path / "artifact").mkdir()
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE.to_json()), encoding="utf-8")
    (tmp_path / "artifact" / "labels.json").write_text('{"classes": ["a"], "precision": "fp32"}', encoding="utf-8")
    for text in ("{", "[1]", '{"classes": 3}'):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=Path(name).name) as caught:
            artifact.load(Side.of(tmp_path), settings=settings)
        assert caught.value.why and caught.value.remedy


def test_on_a_full_disk_the_folder_goes_first(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.domain.run import JobKind
    from core.store.jobs import NewJob

    thaw = Thaw(settings)
    store, runs = thaw._desk.store, settings.workspace(WORKSPACE) / "runs"
    done, busy = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name="r", recipe=RECIPE,
                                           runs_folder=runs) for _ in range(2)])
    claim = store.queue.claim(supervisor="s", host="h", slots=1)
    assert claim is not None
    store.queue.finish(done, fence=claim.fence, status=Status.DONE)
    assert store.queue.claim(supervisor="s", host="h", slots=1)
    for run in (done, busy):
        (runs / run).mkdir(parents=True)
    real = store.jobs.delete

    def full_until_there_is_room(workspace: str, job: str) -> Path:
        if (runs / job).exists():
            raise sqlite3.OperationalError("database or disk is full")
        return real(workspace, job)

    monkeypatch.setattr(store.jobs, "delete", full_until_there_is_room)
    thaw.runs.delete(WORKSPACE, done)
    assert not (runs / done).exists() and [run.id for run in thaw.runs.all(WORKSPACE)] == [busy]
    with pytest.raises(ThawError, match="Stop it first"):
        thaw.runs.delete(WORKSPACE, busy)
    assert (runs / busy).exists()


def test_shortage_is_said_with_numbers(settings: Settings) -> None:
    import dataclasses

    settings.home.mkdir(parents=True)
    assert disk.shortage(dataclasses.replace(settings, min_free_mb=0)) is None
    found = disk.shortage(dataclasses.replace(settings, min_free_mb=10**9))
    assert found is not None and "MB are left" in found.why and found.remedy
    troubles = Thaw(dataclasses.replace(settings, min_free_mb=10**9)).troubles()
    assert [trouble.what for trouble in troubles] == [found.what]


OOM, DISK = FailureKind.OUT_OF_MEMORY, "The disk is full."


@pytest.mark.parametrize(("error", "what"), [
    (RuntimeError("std::bad_alloc"), OOM),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8."), OOM),
    (MemoryError("Unable to allocate 7.45 GiB for an array"), OOM),
    (ImportError("libx.so: failed to map segment from shared object"), OOM),
    (RuntimeError("can't start new thread"), OOM), (OSError(errno.ENOMEM, "x"), OOM),
    (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), OOM),
    (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), DISK),
    (OSError("Not enough free space to write 24000000 bytes after offset 128"), DISK),
    (OSError(errno.ENOSPC, "x"), DISK),
    (OSError(errno.EDQUOT, "x"), DISK), (sqlite3.OperationalError("database or disk is full"), DISK),
    (RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"), DISK),
    (type("SafetensorError", (Exception,), {})("I/O error: No space left on device (os error 28)"), DISK)], ids=str)
def test_what_memory_and_disk_say_when_they_are_full(error: Exception, what: object) -> None:
    found = unforeseen.explained(error, log="logs/x.log")
    assert what in (found.kind, found.what) and "logs/x.log" in found.why and found.remedy


def test_an_error_that_nobody_foresaw_names_the_log_and_one_in_three_parts_stays_as_it_is() -> None:
    known = DataError("Row 3 has no label.")
    assert unforeseen.explained(known, log="logs/x.log") is known
    for error in (KeyError("label"), ValueError(""), RuntimeError("a\nb"), ValueError("the disk is full of marbles")):
        found = unforeseen.explained(error, log="logs/x.log")
        assert found.kind is FailureKind.INTERNAL and type(error).__name__ in found.why
        assert "logs/x.log" in found.why + found.remedy
