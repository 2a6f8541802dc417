"""The recorded example opens from an empty data folder, holds what was measured and no texts, and cannot be changed."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import files, recorded
from core.analysis import aligned, row_facts, shift_report
from core.analysis.feature_files import BlockFeatures
from core.api import RECORDED, Thaw
from core.data import catalogue, ingest, library
from core.data.report import ImportReport
from core.domain.run import JobKind, Status
from core.domain.side import Side, Which
from core.errors import DataError, ThawError
from core.models.methods import HOME
from core.recorded import compact, pack, unpack
from core.settings import Settings
from tests.conftest import WORKSPACE, write_dataset

MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, unpacked."""
    place = tmp_path_factory.mktemp("recorded") / "home"
    unpack.unpack(recorded.ARCHIVE, place)
    return place


@pytest.fixture
def example(home: Path) -> Thaw:
    return Thaw(Settings(home=home, hub=False))


def test_it_is_small_and_holds_a_done_run_of_every_method_with_its_features(example: Thaw) -> None:
    assert recorded.ARCHIVE.stat().st_size + recorded.CARD.stat().st_size <= MOST_BYTES
    card = recorded.card()
    assert card is not None
    runs = example.runs.all(RECORDED, kind=JobKind.TRAIN)
    assert {run.status for run in runs} == {Status.DONE}
    assert [run.id for run in reversed(runs)] == list(card.runs)
    assert [run.recipe.method for run in reversed(runs) if run.recipe] == list(HOME[example.data.all(RECORDED)[0].task])
    states = example.features.states(RECORDED)
    assert all(found.ready and not found.reason for _, found in states.values())
    for run, score in zip(reversed(runs), card.scores, strict=True):
        assert example.runs.damage(RECORDED, run.id) == {}
        result = example.runs.result(RECORDED, run.id)
        assert result is not None and result.metrics["test"][card.metric].value == score.value
        assert example.runs.curves(RECORDED, run.id).steps or (run.recipe and run.recipe.method == "probe")
    assert card.picture.before != card.picture.after
    assert len(card.picture.before) == len(card.picture.after) == len(card.picture.labels)


def test_what_was_measured_by_block_is_read_and_not_measured_again(example: Thaw) -> None:
    dataset = example.data.all(RECORDED)[0]
    table = row_facts.table(dataset.id, settings=example.settings, workspace=RECORDED)
    for run in example.runs.all(RECORDED):
        both = aligned.align(Side.of(Path(run.folder), Which.BASE), Side.of(Path(run.folder)), table=table,
                             settings=example.settings)
        assert shift_report.is_kept(both, settings=example.settings), "make the example anew: docs/adding.md"
        frozen = np.array(both.features.frozen)
        same = [np.array_equal(a, b) for a, b in zip(both.features.base, both.features.tuned, strict=True)]
        assert np.array(same)[frozen].all()


def test_no_text_of_the_dataset_travels_with_it(home: Path, example: Thaw) -> None:
    dataset = example.data.all(RECORDED)[0]
    rows = library.read_rows(dataset, settings=example.settings, workspace=RECORDED)
    assert {f"Row {row}." for row in rows["row_id"].to_pylist()} == {
        " ".join(text.split(" ")[:2]) for text in rows["text"].to_pylist()}
    report = example.data.report(RECORDED, dataset.id)
    assert report is not None and not any(finding.example for finding in report.findings)
    assert not [path for path in home.rglob("*") if path.name == "log.txt" or "weights.safetensors" in path.name]


def test_nothing_in_it_can_be_changed(example: Thaw) -> None:
    run = example.runs.all(RECORDED)[0]
    recipe = run.recipe
    assert recipe is not None
    for change in (lambda: example.runs.delete(RECORDED, run.id), lambda: example.runs.rename(RECORDED, run.id, "x"),
                   lambda: example.runs.resume(RECORDED, run.id), lambda: example.runs.fork(RECORDED, run.id, recipe),
                   lambda: example.experiments.submit(RECORDED, [recipe], name="x"),
                   lambda: example.features.request(RECORDED, [run.id]),
                   lambda: example.models.prepare(RECORDED, model="minilm"),
                   lambda: example.data.delete(RECORDED, example.data.all(RECORDED)[0].id)):
        with pytest.raises(ThawError, match="cannot be changed"):
            change()
    assert example.runs.get(RECORDED, run.id) == run and Path(run.folder).is_dir()


def test_texts_come_as_soon_as_they_are_fetched_and_a_moved_folder_is_made_anew(home: Path, settings: Settings) -> None:
    name = unpack._digest(recorded.ARCHIVE, recorded.ARCHIVE.stat().st_mtime_ns)
    shutil.copytree(home, settings.home / "examples" / name)  # as if it had been unpacked elsewhere and moved
    here = unpack.settings_of(settings)
    example = Thaw(here)
    assert here.home == settings.home / "examples" / name and Path(example.runs.all(RECORDED)[0].folder).is_dir()
    assert not unpack.has_texts(here.home)
    dataset = example.data.all(RECORDED)[0]
    shown = row_facts.contents(dataset, np.array([2]), settings=here, workspace=RECORDED).shown
    assert "not part of the example" in shown[0]

    rows = library.read_rows(dataset, settings=here, workspace=RECORDED)
    texts = pa.array([f"article {row}" for row in rows["row_id"].to_pylist()])
    master = settings.assets / "datasets" / dataset.source / dataset.id
    shutil.copytree(library.folder(dataset, settings=here, workspace=RECORDED), master)
    pq.write_table(rows.set_column(rows.column_names.index("text"), "text", texts), master / ingest.ROWS)
    unpack.settings_of(settings)
    assert unpack.has_texts(here.home)
    assert row_facts.contents(dataset, np.array([2]), settings=here, workspace=RECORDED).shown == ("article 2",)
    library.verify(dataset, settings=here, workspace=RECORDED)


def test_it_is_made_of_finished_runs(example: Thaw, tmp_path: Path) -> None:
    """The example itself is a folder of finished runs; two of them become a smaller one with the same numbers."""
    card = recorded.card()
    assert card is not None
    ids = [card.runs[0], card.runs[4]]
    made = pack.pack(ids, settings=example.settings, workspace=RECORDED, archive=tmp_path / "a.tar.xz",
                     card=tmp_path / "a.json", directions=4)
    assert made.scores == (card.scores[0], card.scores[4]) and made.title == card.title
    unpack.unpack(tmp_path / "a.tar.xz", tmp_path / "home")
    again = Thaw(dataclasses.replace(example.settings, home=tmp_path / "home"))
    assert [run.id for run in reversed(again.runs.all(RECORDED))] == ids
    for id in ids:
        assert again.runs.result(RECORDED, id) == example.runs.result(RECORDED, id)
        assert again.runs.curves(RECORDED, id) == example.runs.curves(RECORDED, id)
        before, after = (thaw.features.compare(RECORDED, Side(run=id, which=Which.BASE), Side(run=id), names=("a", "b"))
                         for thaw in (example, again))
        assert before.shift.findings == after.shift.findings


RUN_FILES = ("result.json", "predictions-test.parquet", "base-predictions-test.parquet", "panel.parquet",
             "forgetting.jsonl", "features/report.json")
QUOTING = ("teaching.json", "samples.jsonl", "samples-untouched.json", "features/lens.json",
           "features/lens.safetensors")


@pytest.mark.parametrize(("texts", "expected"), [(False, RUN_FILES), (True, RUN_FILES + QUOTING)])
def test_what_quotes_texts_travels_only_where_they_may(texts: bool, expected: tuple[str, ...], example: Thaw,
                                                       tmp_path: Path) -> None:
    run = dataclasses.replace(example.runs.all(RECORDED)[0], folder=str(tmp_path / "run"))
    for name in (*RUN_FILES, *QUOTING, "log.txt", "checkpoints/weights.safetensors"):
        files.write_bytes(tmp_path / "run" / name, b"x")
    pack._copy_runs([run], tmp_path / "out", texts=texts)
    there = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path / "out" / run.id).as_posix() for path in there} == set(expected)


def test_texts_in_the_public_domain_may_travel_and_articles_of_others_may_not() -> None:
    assert {entry.id for entry in catalogue.DATASETS if catalogue.may_hand_on(entry.id)} == {
        "tales", "andersen", "sentence-to-json"}
    assert not catalogue.may_hand_on("my-file.csv")


def test_a_dataset_in_the_public_domain_travels_with_its_texts(settings: Settings, tmp_path: Path) -> None:
    dataset = dataclasses.replace(write_dataset(settings, n_rows=60), source="tales")
    place = library.folder(dataset, settings=settings, workspace=WORKSPACE)
    files.write_json(place / ingest.REPORT, ImportReport(source="tales", rows_read=60, rows_kept=60).to_json())
    pack._copy_dataset(dataset, tmp_path / "free", settings=settings, workspace=WORKSPACE)
    assert pq.read_table(tmp_path / "free" / ingest.ROWS).equals(pq.read_table(place / ingest.ROWS))
    assert not (tmp_path / "free" / recorded.NO_TEXTS).exists()
    other = dataclasses.replace(dataset, source="bbc-news")
    pack._copy_dataset(other, tmp_path / "licensed", settings=settings, workspace=WORKSPACE)
    assert "not part of the example" in pq.read_table(tmp_path / "licensed" / ingest.ROWS)["text"][0].as_py()
    assert (tmp_path / "licensed" / recorded.NO_TEXTS).is_file()


def test_compact_features_keep_the_strongest_directions_and_equal_blocks_equal(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    flat = (random.normal(size=(60, 5)) @ random.normal(size=(5, 32)) + 3).astype(np.float16)  # five directions
    rich = random.normal(size=(60, 32)).astype(np.float16)
    head = random.normal(size=(3, 32))
    ids = np.arange(60) * 7
    compactor = compact.Compactor(5)
    compactor.add("base/x.safetensors", BlockFeatures(row_ids=ids, blocks={"block 0": flat, "block 1": rich}),
                  heads={"block 1": head})
    compactor.add("run/y.safetensors", BlockFeatures(row_ids=ids, step=3, blocks={"block 0": flat}))
    compactor.save(tmp_path / "f.npz")
    compact.restore(tmp_path / "f.npz", tmp_path)
    base, run = (BlockFeatures.load(tmp_path / name) for name in ("base/x.safetensors", "run/y.safetensors"))
    assert run.step == 3 and (base.row_ids == ids).all() and base.names == ("block 0", "block 1")
    assert np.array_equal(base.blocks["block 0"], run.blocks["block 0"])
    spread = flat.astype(float).std()
    assert np.abs(base.blocks["block 0"].astype(float) - flat).max() < 0.05 * spread
    assert compactor.captured[0] == pytest.approx(1, abs=1e-4) and 0.2 < compactor.captured[1] < 0.7
    seen, kept = (values.astype(float) @ head.T for values in (rich, base.blocks["block 1"]))
    assert np.abs(seen - kept).max() < 0.1 * seen.std()  # what a classifier looks along is kept

    compactor.files[0]["path"] = "../out.safetensors"
    compactor.save(tmp_path / "f.npz")
    with pytest.raises(DataError):
        compact.restore(tmp_path / "f.npz", tmp_path / "inner")
