"""An archive of runs travels to another data folder: everything measured is there, nothing of the machine, nothing can
be changed; and what is no whole archive is refused before anything of it is kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import files, recorded
from core.api import RECORDED, Thaw
from core.data import library, seal
from core.domain import codec
from core.domain.dataset import Dataset
from core.domain.run import JobKind, Run, Status
from core.domain.side import Side, Which
from core.errors import DataError, NewerVersionError, ThawError
from core.recorded import unpack
from core.settings import Settings
from core.share import archive
from tests.conftest import WORKSPACE, write_dataset
from tests.ui.conftest import Ended, put_runs

THERE = "another-workspace"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Thaw:
    """The recorded example: done runs with features, events, and a dataset whose texts say that they are not there."""
    place = tmp_path_factory.mktemp("recorded") / "home"
    unpack.unpack(recorded.ARCHIVE, place)
    return Thaw(Settings(home=place, hub=False))


@pytest.fixture
def there(settings: Settings) -> Thaw:
    """Another Thaw, with nothing in it."""
    return Thaw(settings)


def two(example: Thaw) -> list[str]:
    card = recorded.card()
    assert card is not None
    return [card.runs[0], card.runs[4]]


def by_method(thaw: Thaw, ws: str) -> dict[str, Run]:
    return {run.recipe.method: run for run in thaw.runs.all(ws, kind=JobKind.TRAIN) if run.recipe}


def test_what_was_measured_is_there_under_new_ids(example: Thaw, there: Thaw, tmp_path: Path) -> None:
    made = example.share.archive(RECORDED, two(example), tmp_path / "a.zip")
    assert not made.rows and not made.features and (tmp_path / "a.zip").stat().st_size < 1_000_000
    taken = there.share.take_in(THERE, tmp_path / "a.zip")
    before = {m: run for m, run in by_method(example, RECORDED).items() if run.id in two(example)}
    after = by_method(there, THERE)
    assert before.keys() == after.keys() and set(taken.runs) == {run.id for run in after.values()}
    assert not set(taken.runs) & set(two(example))
    for method, run in after.items():
        old = before[method]
        assert run.imported and run.status is Status.DONE and run.recipe == old.recipe and run.finished == old.finished
        assert there.runs.result(THERE, run.id) == example.runs.result(RECORDED, old.id)
        assert there.runs.curves(THERE, run.id) == example.runs.curves(RECORDED, old.id)
        assert there.runs.damage(THERE, run.id) == {}
        old_rows, rows = example.runs.judged(RECORDED, old.id), there.runs.judged(THERE, run.id)
        assert old_rows is not None and rows is not None and np.array_equal(rows.row_ids, old_rows.row_ids)
    experiment, = there.experiments.all(THERE)
    assert experiment.id == taken.experiments[0] and experiment.name.endswith("(imported)")
    assert there.experiments.paired(THERE, *taken.runs).sentence == example.experiments.paired(
        RECORDED, *two(example)).sentence
    assert not there.features.state(THERE, taken.runs[0]).ready
    assert "holds no features" in there.features.state(THERE, taken.runs[0]).reason
    assert b"What is" not in (data := there.share.report(THERE, taken.runs)) and b"(imported)" in data


def test_features_travel_on_request_and_touch_nothing_shared(example: Thaw, there: Thaw, tmp_path: Path) -> None:
    example.share.archive(RECORDED, two(example), tmp_path / "a.zip", features=True)
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        names = packed.namelist()
    assert len([name for name in names if name.startswith("features/")]) == 1  # the base model's, once for both
    cache = sorted(there.settings.cache.rglob("*")) if there.settings.cache.is_dir() else []
    taken = there.share.take_in(THERE, tmp_path / "a.zip")
    assert (sorted(there.settings.cache.rglob("*")) if there.settings.cache.is_dir() else []) == cache
    assert not there.settings.assets.exists() or not list(there.settings.assets.rglob("facts.json"))
    run = by_method(there, THERE)["full" if "full" in by_method(there, THERE) else max(by_method(there, THERE))]
    state = there.features.state(THERE, run.id)  # maps want to know of which rows
    assert not state.ready and "dataset of this imported run is not in this workspace" in state.reason
    assert there.features.states(THERE)[run.id][1] == state
    dataset = example.data.all(RECORDED)[0]
    shutil.copytree(example.settings.workspace(RECORDED) / "datasets" / dataset.id,
                    there.settings.workspace(THERE) / "datasets" / dataset.id)
    assert there.features.state(THERE, run.id).ready
    here = next(old for old in by_method(example, RECORDED).values() if old.recipe == run.recipe)
    found, old = (thaw.features.compare(ws, Side(run=id, which=Which.BASE), Side(run=id), names=("a", "b"))
                  for thaw, ws, id in ((there, THERE, run.id), (example, RECORDED, here.id)))
    assert np.array_equal(found.row_ids, old.row_ids) and found.contents == old.contents
    for block, other in zip(found.aligned.features.tuned, old.aligned.features.tuned, strict=True):
        assert np.array_equal(block, other)
    assert len(taken.runs) == 2 and taken.datasets == ()


def honest(settings: Settings) -> Dataset:
    """90 texts under the hash that ingestion gives them."""
    made = write_dataset(settings, n_rows=90)
    place = settings.workspace(WORKSPACE) / "datasets" / made.id
    rows = library.rows_of(place, made)
    found = seal.row_hash(rows["row_id"].to_pylist(), rows["text"].to_pylist(),
                          [made.classes[label] for label in rows["label"].to_pylist()], rows["split"].to_pylist())
    dataset = dataclasses.replace(made, id=found[:16], content_hash=found)
    files.write_json(place / "dataset.json", codec.to_json(dataset))
    files.move(place, place.with_name(dataset.id))
    return dataset


def test_rows_travel_on_request(settings: Settings, tmp_path: Path) -> None:
    dataset = honest(settings)
    ended, thaw = put_runs(settings, dataset), Thaw(settings)
    samples = Path(thaw.runs.get(WORKSPACE, ended.done[0]).folder) / "samples.jsonl"
    samples.write_text("{}")
    for rows in (False, True):
        thaw.share.archive(WORKSPACE, ended.done, tmp_path / f"{rows}.zip", rows=rows)
    taken = thaw.share.take_in(THERE, tmp_path / "False.zip")
    assert taken.datasets == () and not thaw.data.all(THERE)
    assert any("tiny (90 rows) is not in this workspace" in said for said in thaw.share.missing(THERE, taken.runs[0]))
    assert not list((settings.workspace(THERE) / "runs").rglob("samples.jsonl"))
    taken = thaw.share.take_in(THERE, tmp_path / "True.zip")
    assert taken.datasets == (dataset.id,) and thaw.data.all(THERE)[0] == dataset
    library.verify(dataset, settings=settings, workspace=THERE)
    assert thaw.share.missing(THERE, taken.runs[0]) == []
    assert list((settings.workspace(THERE) / "runs").rglob("samples.jsonl"))
    mended = thaw.share.take_in("yet-another-one", tmp_path / "True.zip")
    assert mended.datasets == (dataset.id,)


def test_an_imported_run_stays_as_it_is_and_goes_as_a_whole(example: Thaw, there: Thaw, tmp_path: Path) -> None:
    example.share.archive(RECORDED, two(example), tmp_path / "a.zip")
    taken = there.share.take_in(THERE, tmp_path / "a.zip")
    run = there.runs.get(THERE, taken.runs[0])
    assert run.recipe is not None
    recipe = run.recipe
    for change in (lambda: there.runs.resume(THERE, run.id), lambda: there.runs.rename(THERE, run.id, "x"),
                   lambda: there.runs.delete(THERE, run.id), lambda: there.runs.fork(THERE, run.id, recipe),
                   lambda: there.features.request(THERE, [run.id]), lambda: there.take_home.artifact(THERE, run.id),
                   lambda: there.experiments.rename(THERE, taken.experiments[0], "x")):
        with pytest.raises(ThawError) as error:
            change()
        assert error.value.what and error.value.why and error.value.remedy
    assert there.take_home.size_bytes(THERE, run.id) == 0
    assert there._desk.store.queue.resume(THERE, run.id) is False
    with pytest.raises(DataError, match="imported before"):
        there.share.take_in(THERE, tmp_path / "a.zip")
    assert there.experiments.delete(THERE, taken.experiments[0]) == 2
    assert not there.runs.all(THERE) and not list((there.settings.workspace(THERE) / "runs").iterdir())
    there.share.take_in(THERE, tmp_path / "a.zip")  # and can come again


def test_it_stands_beside_own_runs_on_the_same_rows(settings: Settings, tmp_path: Path) -> None:
    """Both workspaces of one data folder: own runs, and the same ones imported."""
    dataset = write_dataset(settings, n_rows=90)
    ended, thaw = put_runs(settings, dataset), Thaw(settings)
    thaw.share.archive(WORKSPACE, [*ended.done, ended.failed], tmp_path / "a.zip")
    taken = thaw.share.take_in(WORKSPACE, tmp_path / "a.zip")
    assert len(thaw.runs.all(WORKSPACE, kind=JobKind.TRAIN)) == 6
    own, other = ended.done[1], taken.runs[0]
    test = thaw.experiments.paired(WORKSPACE, own, other)
    assert "Tiny, MiniLM (imported)" in thaw.experiments.compare(WORKSPACE, [own, other]).rows[1].name or test.sentence
    failed = thaw.runs.get(WORKSPACE, taken.runs[2])
    assert failed.status is Status.FAILED and failed.failure is not None and not failed.worth_resuming
    assert thaw.share.missing(WORKSPACE, taken.runs[0]) == []
    assert any("tiny (90 rows) is not in this workspace" in said
               for said in _in_another_workspace(thaw, tmp_path / "a.zip"))


def _in_another_workspace(thaw: Thaw, path: Path) -> list[str]:
    taken = thaw.share.take_in(THERE, path)
    return thaw.share.missing(THERE, taken.runs[0])


def test_nothing_of_the_machine_travels(settings: Settings, tmp_path: Path) -> None:
    ended, thaw = put_runs(settings, honest(settings)), Thaw(settings)
    for id in ended.done:
        run = thaw.runs.get(WORKSPACE, id)
        assert run.recipe is not None
        recipe = run.recipe.replace(base_model=f"{settings.home}/models/own")
        thaw._desk.store.database.execute("UPDATE jobs SET recipe = ? WHERE id = ?", (json.dumps(recipe.to_json()), id))
        files.write_json(Path(run.folder) / "recipe.json", recipe.to_json())
        files.write_json(Path(run.folder) / "notes.json", {"where": str(settings.home / "x")})
        (Path(run.folder) / "log.txt").write_text("secret")
        (Path(run.folder) / "artifact" / "weights.safetensors").write_bytes(b"weights")
    thaw.share.archive(WORKSPACE, ended.done, tmp_path / "a.zip", rows=True)
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        everything = b"".join(packed.read(name) for name in packed.namelist())
        names = packed.namelist()
    assert str(settings.home).encode() not in everything and WORKSPACE.encode() not in everything
    assert not [name for name in names if name.endswith((".txt", ".pkl", ".pt", "weights.safetensors"))]
    missing = _in_another_workspace(thaw, tmp_path / "a.zip")
    assert any("…/own lay in a folder" in said for said in missing)


def test_runs_under_way_and_pictures_are_refused(settings: Settings, tmp_path: Path) -> None:
    from core.domain.recipe import Recipe
    from core.store.jobs import NewJob
    from tests.conftest import write_picture_dataset

    thaw, dataset = Thaw(settings), write_picture_dataset(settings, n_rows=30)
    waiting, = thaw._desk.store.jobs.submit([NewJob(
        workspace=WORKSPACE, kind=JobKind.TRAIN, name="x", recipe=Recipe(dataset=dataset.id, base_model="m",
                                                                         method="probe"),
        runs_folder=tmp_path / "runs")])
    with pytest.raises(DataError, match="yet"):
        thaw.share.archive(WORKSPACE, [waiting], tmp_path / "a.zip")
    thaw.runs.stop(WORKSPACE, waiting)
    with pytest.raises(DataError, match="do not go into an archive"):
        thaw.share.archive(WORKSPACE, [waiting], tmp_path / "a.zip", rows=True)
    assert not (tmp_path / "a.zip").exists()
    thaw.share.archive(WORKSPACE, [waiting], tmp_path / "a.zip")


# -- hostile archives -----------------------------------------------------------------------------------------------


@pytest.fixture
def good(settings: Settings, tmp_path: Path) -> Path:
    """An archive as it is written, with rows."""
    ended: Ended = put_runs(settings, honest(settings))
    Thaw(settings).share.archive(WORKSPACE, ended.done, tmp_path / "good.zip", rows=True)
    return tmp_path / "good.zip"


def rewritten(source: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None], *, sealed: bool = True) -> Path:
    """The archive with its members and manifest changed; sealed: with checksums that fit again."""
    with zipfile.ZipFile(source) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    if sealed:
        manifest["members"] = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
                               for name, data in members.items()}
    target = source.with_name("bad.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in {**members, "manifest.json": json.dumps(manifest).encode()}.items():
            packed.writestr(name, data)
    return target


def _database(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes], dict[str, Any]], None]:
    def apply(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
        found = json.loads(members["database.json"])
        change(found)
        members["database.json"] = json.dumps(found).encode()

    return apply


def _rows(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    """Other texts under the same hash."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    name = next(name for name in members if name.endswith("rows.parquet"))
    table = pq.read_table(io.BytesIO(members[name]))
    sink = io.BytesIO()
    pq.write_table(table.set_column(table.column_names.index("text"), "text", pa.array(["x"] * len(table))), sink)
    members[name] = sink.getvalue()


BAD: dict[str, tuple[Callable[[dict[str, bytes], dict[str, Any]], None], bool]] = {
    "leads out": (lambda m, _: m.update({"../out.json": b"{}"}), True),
    "absolute": (lambda m, _: m.update({"/out.json": b"{}"}), True),
    "bomb": (lambda m, _: m.update({"runs/abcdef/x.json": b" " * 60_000_000}), True),
    "wrong hash": (lambda m, _: m.update({"database.json": m["database.json"] + b" "}), False),
    "a member too many": (lambda m, _: m.update({"runs/abcdef/x.json": b"{}"}), False),
    "a member missing": (lambda m, _: m.pop(next(n for n in m if n.endswith("result.json"))), False),
    "a pickle": (lambda m, _: m.update({"runs/abcdef/x.pkl": b"x"}), True),
    "weights": (lambda m, _: m.update({"runs/abcdef/artifact/weights.safetensors": b"x"}), True),
    "no archive of Thaw": (lambda m, manifest: manifest.update(format="other"), True),
    "a damaged manifest": (lambda m, manifest: manifest.pop("title"), True),
    "a copy of nothing": (lambda m, manifest: manifest.update(shared={"runs/abcdef/x.json": "nothing"}), True),
    "a copy over the database": (lambda m, manifest: manifest.update(shared={"../x.json": "database.json"}), True),
    "no runs": (_database(lambda found: found.update(jobs=[])), True),
    "an id that is a path": (_database(lambda found: found["jobs"][0].update(id="../../x")), True),
    "one id twice": (_database(lambda found: found["jobs"][1].update(id=found["jobs"][0]["id"])), True),
    "a run under way": (_database(lambda found: found["jobs"][0].update(status="queued")), True),
    "no recipe": (_database(lambda found: found["jobs"][0].update(recipe="{}")), True),
    "a time without end": (_database(lambda found: found["jobs"][0].update(created=float("inf"))), True),
    "an event that is none": (_database(lambda found: found["events"].append(
        {"run": found["jobs"][0]["id"], "seq": "x", "time": 0, "kind": "note", "data": "{}"})), True),
    "a question that is none": (_database(lambda found: found["experiments"][0].update(asked="{}")), True),
    "rows of another hash": (_rows, True)}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_whole_archive_is_refused_and_nothing_is_kept(kind: str, good: Path, there: Thaw) -> None:
    change, sealed = BAD[kind]
    path = rewritten(good, change, sealed=sealed)
    with pytest.raises(DataError) as error:
        there.share.take_in(THERE, path)
    assert error.value.what and error.value.why and error.value.remedy
    assert not there.runs.all(THERE) and not there.experiments.all(THERE)
    place = there.settings.workspace(THERE)
    assert not [*(place / "runs").iterdir()] and not [*(place / "datasets").iterdir()]
    assert not (place.parent / "out.json").exists()


def test_the_same_archive_untouched_is_taken_in(good: Path, there: Thaw) -> None:
    taken = there.share.take_in(THERE, rewritten(good, lambda *_: None))
    assert len(taken.runs) == 2 and len(taken.datasets) == 1


def test_two_members_of_one_name_are_refused(good: Path, there: Thaw) -> None:
    with zipfile.ZipFile(good, "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("database.json", b"{}")
    with pytest.raises(DataError, match="not opened"):
        there.share.take_in(THERE, good)


def test_an_archive_of_a_newer_thaw_says_so(good: Path, there: Thaw) -> None:
    newer = rewritten(good, lambda _, manifest: manifest.update(schema_version=99))
    with pytest.raises(NewerVersionError, match="newer version"):
        there.share.take_in(THERE, newer)
    newer = rewritten(good, _database(lambda found: found.update(schema=999)))
    with pytest.raises(NewerVersionError, match="newer version"):
        there.share.take_in(THERE, newer)


def test_no_zip_at_all(there: Thaw, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(DataError):
        there.share.take_in(THERE, tmp_path / "x.zip")


def test_a_failure_on_the_way_leaves_nothing(good: Path, there: Thaw, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.store import dump

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(dump, "insert", broken)
    good = rewritten(good, lambda m, _: [m.pop(name) for name in list(m) if name.startswith("datasets/")])
    with pytest.raises(OSError, match="disk full"):
        there.share.take_in(THERE, good)
    assert not there.runs.all(THERE) and not list((there.settings.workspace(THERE) / "runs").iterdir())


def test_the_manifest_names_every_member(good: Path) -> None:
    with zipfile.ZipFile(good) as packed:
        names, manifest = packed.namelist(), json.loads(packed.read("manifest.json"))
        for name, member in manifest["members"].items():
            assert hashlib.sha256(packed.read(name)).hexdigest() == member["sha256"]
    assert set(names) - {"manifest.json"} == manifest["members"].keys()
    assert manifest["format"] == archive.FORMAT and manifest["schema_version"] == 1
    assert dataclasses.asdict(archive.Member(sha256="x", bytes=1)).keys() == {"sha256", "bytes"}
