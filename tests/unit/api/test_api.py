"""The façade without workers: what pages ask for, what it refuses, what it costs, and that torch stays away."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.api import Thaw
from core.data import ingest, tables
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.device import Device
from core.domain.model import Block, LinearLayer, ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import Interval, JobKind, Result, Status
from core.errors import DataError, NotFoundError, RecipeError, ThawError
from core.models import facts as facts_module
from core.planning import names
from core.settings import Settings
from core.store import Store
from tests import cost
from tests.conftest import WORKSPACE, write_dataset

OTHER = "another-workspace"
LINEAR = (LinearLayer(name="attention.query", kind="attention", in_features=64, out_features=64),)
FACTS = ModelFacts(id="minilm", revision="r", architecture="Bert", tasks=(Task.TEXT_CLASSIFICATION,), hidden_size=8,
                   intermediate_size=32, attention_heads=2, max_length=96, forward_flops_per_token=1e6,
                   blocks=(Block(index=0, name="embeddings", parameters=1000),
                           *(Block(index=i + 1, name=f"block {i}", parameters=500, linear_parameters=400,
                                   linear_layers=LINEAR) for i in range(6))),
                   activation_bytes_per_block={"embeddings": 100, **{f"block {i}": 400 for i in range(6)}})
DEVICE = Device(kind="cpu", name="test", memory_bytes=8_000_000_000, cores=2, fp32_gflops=50.0, bf16_gflops=100.0,
                precision="bf16", versions={}, measured=0.0)


@pytest.fixture
def thaw(settings: Settings) -> Thaw:
    return Thaw(settings)


@pytest.fixture
def ready(thaw: Thaw, tiny_dataset: Dataset) -> Dataset:
    """A dataset, an inspected model and a measured device are there."""
    facts_module.write(FACTS, thaw.settings)
    (thaw.settings.home / "device.json").write_text(json.dumps(codec.to_json(DEVICE)), encoding="utf-8")
    return tiny_dataset


def recipe(dataset: Dataset, method: str = "lora", **fields: object) -> Recipe:
    return Recipe(dataset=dataset.id, base_model="minilm", method=method, max_length=64).replace(**fields)


def finish(thaw: Thaw, run: str, predictions: Sequence[int], *, labels: Sequence[int], dataset_hash: str = "h",
           first_row: int = 0, reverse: bool = False) -> None:
    """Leave what a worker leaves: status, result.json, predictions, label map."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    store, folder = Store(thaw.settings), Path(thaw.runs.get(WORKSPACE, run).folder)
    claims = iter(lambda: store.queue.claim(supervisor="s", host="h", slots=99), None)
    claim = next(claim for claim in claims if claim.run.id == run)
    accuracy = float(np.mean(np.asarray(predictions) == np.asarray(labels)))
    interval = {"accuracy": Interval(value=accuracy, low=accuracy - 0.1, high=accuracy + 0.1)}
    result = Result(metrics={"test": interval}, trainable_params=10, total_params=100, seconds=3.0,
                    phase_seconds={"training": 2.0}, peak_memory_bytes=5, estimated_memory_bytes=6, artifact_bytes=7,
                    steps=8, samples=9, precision="fp32", device="cpu", dataset_hash=dataset_hash)
    (folder / "artifact").mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(codec.to_json(result)), encoding="utf-8")
    (folder / "artifact" / "labels.json").write_text(json.dumps({"classes": ["a", "b", "c"]}), encoding="utf-8")
    order = np.arange(len(labels))[::-1] if reverse else np.arange(len(labels))
    table = pa.table({"row_id": pa.array(order + first_row, pa.int64()),
                      "label": pa.array(np.asarray(labels)[order], pa.int32()),
                      "prediction": pa.array(np.asarray(predictions)[order], pa.int32())})
    pq.write_table(table, folder / "predictions-test.parquet")
    assert store.queue.finish(run, fence=claim.fence, status=Status.DONE)


# -- workspaces --------------------------------------------------------------------------------------------------------


def test_a_new_workspace_cannot_be_guessed_and_bad_ids_are_refused(thaw: Thaw) -> None:
    ids = {thaw.new_workspace() for _ in range(50)}
    assert len(ids) == 50 and all(len(ws) >= 16 for ws in ids)
    for bad in ("", "../../etc", "a/b", "x" * 3, "größe-größe-größe"):
        with pytest.raises(ThawError):
            thaw.touch_workspace(bad)
    assert not (thaw.settings.home / "etc").exists()


def test_ids_of_another_workspace_are_not_found(thaw: Thaw, ready: Dataset) -> None:
    run = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="x")[0]
    runs = thaw.runs
    calls = (runs.get, runs.progress, runs.curves, runs.result, runs.verdict, runs.stop, runs.resume, runs.delete,
             runs.log)
    for call in calls:
        with pytest.raises(NotFoundError):
            call(OTHER, run)
    for attempt in (lambda: thaw.runs.rename(OTHER, run, "y"), lambda: thaw.runs.fork(OTHER, run, recipe(ready)),
                    lambda: thaw.experiments.compare(OTHER, [run]), lambda: thaw.experiments.paired(OTHER, run, run),
                    lambda: thaw.data.rows(OTHER, ready.id),
                    lambda: thaw.data.delete(OTHER, ready.id),
                    lambda: thaw.experiments.submit(OTHER, [recipe(ready)], name="x")):
        with pytest.raises(NotFoundError):
            attempt()
    assert thaw.data.find(OTHER, ready.id) is None
    assert thaw.runs.all(OTHER) == [] and thaw.data.all(OTHER) == []
    assert thaw.runs.get(WORKSPACE, run).status is Status.QUEUED


# -- planning ----------------------------------------------------------------------------------------------------------


def test_every_method_gets_a_recipe_that_passes_and_an_estimate(thaw: Thaw, ready: Dataset) -> None:
    for choice in thaw.models.methods(FACTS):
        made = thaw.experiments.default_recipe(WORKSPACE, dataset=ready.id, model="minilm", method=choice.name,
                                               effort="quick")
        assert made.method == choice.name and made.max_length <= FACTS.max_length
        if choice.reason is None:
            estimate = thaw.experiments.estimate(WORKSPACE, made)
            assert estimate is not None
            assert 0 < estimate.trainable_params <= estimate.total_params
            assert thaw.experiments.submit(WORKSPACE, [made], name="x")


def test_a_bundled_pair_is_estimated_before_it_is_fetched_and_nothing_else_is(thaw: Thaw) -> None:
    made = thaw.experiments.default_recipe(WORKSPACE, dataset="bbc-news", model="minilm", method="full")
    found = thaw.experiments.estimate(WORKSPACE, made)
    assert found is not None and found.total_params == 22_565_376 + 5 * 385
    assert not thaw.models.is_here("minilm") and thaw.data.find(WORKSPACE, "bbc-news") is None
    whole = thaw.experiments.seconds(WORKSPACE, [made, made])
    assert whole is not None and whole > 2 * found.seconds  # the features that each run ends with
    other = made.replace(base_model="prajjwal1/bert-tiny")
    assert thaw.experiments.estimate(WORKSPACE, other) is None
    assert thaw.experiments.seconds(WORKSPACE, [made, other]) is None


def test_a_label_budget_above_the_training_rows_is_all_of_them(thaw: Thaw, ready: Dataset) -> None:
    wanted = {"dataset": ready.id, "model": "minilm", "method": "full"}
    many = thaw.experiments.default_recipe(WORKSPACE, **wanted, label_budget=10_000)
    few = thaw.experiments.default_recipe(WORKSPACE, **wanted, label_budget=9)
    assert (many.label_budget, few.label_budget) == (None, 9)


def test_the_first_comparison_works_on_an_empty_data_folder(thaw: Thaw) -> None:
    methods = ("probe", "partial", "lora", "qlora", "full", "scratch")
    ids = thaw.experiments.compare_bundled(WORKSPACE, dataset="bbc-news", model="minilm", methods=methods, seeds=2,
                                           budgets=(32, None))
    runs = [thaw.runs.get(WORKSPACE, run) for run in ids]
    assert len(runs) == 24 and {run.status for run in runs} == {Status.QUEUED}
    assert [run.position for run in runs] == list(range(1, 25)), "run in the order in which they were returned"
    arms = {(run.recipe.method, run.recipe.seed, run.recipe.label_budget) for run in runs}
    assert arms == {(method, seed, budget) for method in methods for seed in (0, 1) for budget in (32, None)}
    assert len({run.experiment for run in runs}) == 1 and len({run.name for run in runs}) == 24
    partial = next(run.recipe for run in runs if run.recipe.method == "partial")
    lower = ("embeddings", "block 0", "block 1", "block 2")
    assert partial.freeze.frozen == lower, "blocks are named before the weights are here"
    assert [e.name for e in thaw.experiments.all(WORKSPACE)] == ["BBC News, MiniLM"]


def test_what_is_left_to_the_device_is_decided_at_submit(thaw: Thaw, ready: Dataset) -> None:
    recipes = [recipe(ready), recipe(ready, "full"), recipe(ready, precision="fp32")]
    runs = thaw.experiments.submit(WORKSPACE, recipes, name="x")
    runs.append(thaw.runs.fork(WORKSPACE, runs[0], recipe(ready, seed=1)))
    slower = dataclasses.replace(DEVICE, precision="fp32")  # as another day's measurement may find
    (thaw.settings.home / "device.json").write_text(json.dumps(codec.to_json(slower)), encoding="utf-8")
    assert ([thaw.runs.get(WORKSPACE, run).recipe.precision for run in runs] == ["bf16", "bf16", "fp32", "bf16"])  # type: ignore[union-attr]


def test_what_the_device_does_not_have_is_refused_at_submit(thaw: Thaw, ready: Dataset) -> None:
    for asked in (recipe(ready, precision="fp16"), recipe(ready, optimizer="paged_adamw_8bit")):
        with pytest.raises(RecipeError, match="not available on a CPU"):
            thaw.experiments.submit(WORKSPACE, [recipe(ready), asked], name="x")
    assert thaw.runs.all(WORKSPACE) == []


def test_submit_checks_everything_first_and_queues_all_or_nothing(thaw: Thaw, ready: Dataset) -> None:
    good = recipe(ready)
    for bad, error in ((recipe(ready, "no such method"), RecipeError), (recipe(ready, epochs=-1.0), RecipeError),
                       (recipe(ready, lora=good.lora.__class__(targets="nothing_like_this")), RecipeError),
                       (good.replace(dataset="0" * 16), NotFoundError),
                       (good.replace(base_model="/no/such/folder"), NotFoundError),
                       (good.replace(task=Task.IMAGE_CLASSIFICATION), RecipeError)):
        with pytest.raises(error) as caught:
            thaw.experiments.submit(WORKSPACE, [good, bad], name="x")
        assert caught.value.what and caught.value.remedy
    with pytest.raises(RecipeError):
        thaw.experiments.submit(WORKSPACE, [], name="x")
    assert thaw.runs.all(WORKSPACE) == [] and thaw.experiments.all(WORKSPACE) == []


def test_one_submission_and_one_workspace_may_queue_so_many(settings: Settings, tiny_dataset: Dataset) -> None:
    thaw = Thaw(dataclasses.replace(settings, max_submit=3, max_queued=4))
    facts_module.write(FACTS, thaw.settings)
    with pytest.raises(ThawError, match="at most 3 can be queued at once") as caught:
        thaw.experiments.submit(WORKSPACE, [recipe(tiny_dataset, seed=seed) for seed in range(4)], name="x")
    assert "THAW_MAX_SUBMIT" in caught.value.remedy and thaw.experiments.all(WORKSPACE) == []
    with pytest.raises(ThawError, match="at most 3"):
        thaw.experiments.compare_bundled(WORKSPACE, dataset="bbc-news", model="minilm", methods=("probe", "full"),
                                         seeds=1_000_000)
    first, *_ = thaw.experiments.submit(WORKSPACE, [recipe(tiny_dataset, seed=seed) for seed in range(3)], name="x")
    thaw.models.prepare(WORKSPACE, model="minilm")
    for more in (lambda: thaw.experiments.submit(WORKSPACE, [recipe(tiny_dataset)], name="y"),
                 lambda: thaw.models.prepare(WORKSPACE, dataset="bbc-news"),
                 lambda: thaw.runs.fork(WORKSPACE, first, recipe(tiny_dataset, seed=9))):
        with pytest.raises(ThawError, match="at most 4 waiting") as caught:
            more()
        assert "THAW_MAX_QUEUED" in caught.value.remedy
    thaw.runs.stop(WORKSPACE, first)
    assert thaw.runs.fork(WORKSPACE, first, recipe(tiny_dataset, seed=9))
    with pytest.raises(ThawError, match="at most 4 waiting"):
        thaw.runs.resume(WORKSPACE, first)
    assert len(thaw.experiments.all(WORKSPACE)) == 1


# -- runs --------------------------------------------------------------------------------------------------------------


def test_prepare_returns_the_job_that_is_already_under_way(thaw: Thaw) -> None:
    first = thaw.models.prepare(WORKSPACE, model="minilm", dataset="bbc-news")
    assert thaw.models.prepare(WORKSPACE, model="minilm", dataset="bbc-news") == first
    assert thaw.models.prepare(WORKSPACE, model="minilm") != first
    thaw.runs.stop(WORKSPACE, first)
    assert thaw.models.prepare(WORKSPACE, model="minilm", dataset="bbc-news") != first
    prepared = thaw.runs.all(WORKSPACE, kind=JobKind.PREPARE)
    assert all(run.kind is JobKind.PREPARE and run.recipe is None for run in prepared)
    with pytest.raises(RecipeError):
        thaw.models.prepare(WORKSPACE)


def test_resume_keeps_the_recipe_and_fork_makes_a_child(thaw: Thaw, ready: Dataset) -> None:
    run = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="five ways")[0]
    submitted = thaw.runs.get(WORKSPACE, run).recipe
    with pytest.raises(ThawError, match="queued"):
        thaw.runs.resume(WORKSPACE, run)
    assert thaw.runs.stop(WORKSPACE, run) is Status.STOPPED
    thaw.runs.resume(WORKSPACE, run)
    assert (thaw.runs.get(WORKSPACE, run).status, thaw.runs.get(WORKSPACE, run).recipe) == (Status.QUEUED, submitted)
    child = thaw.runs.get(WORKSPACE, thaw.runs.fork(WORKSPACE, run, recipe(ready, seed=3)))
    parent = thaw.runs.get(WORKSPACE, run)
    assert (child.parent, child.experiment, child.recipe.seed) == (run, parent.experiment, 3)
    assert names.one(child) == "LoRA · seed 3"
    thaw.runs.rename(WORKSPACE, child.id, "mine")
    assert names.one(thaw.runs.get(WORKSPACE, child.id)) == "mine"
    thaw.runs.delete(WORKSPACE, run)
    assert thaw.runs.get(WORKSPACE, child.id).parent_recipe is None


def test_delete_takes_row_events_and_folder(thaw: Thaw, ready: Dataset) -> None:
    run = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="x")[0]
    finish(thaw, run, [0], labels=[0])
    folder = Path(thaw.runs.get(WORKSPACE, run).folder)
    assert folder.is_dir() and thaw.disk_use(WORKSPACE)["runs"] > 0
    thaw.runs.delete(WORKSPACE, run)
    assert not folder.exists() and list(folder.parent.iterdir()) == []
    with pytest.raises(NotFoundError):
        thaw.runs.get(WORKSPACE, run)


def test_progress_returns_only_what_is_new(thaw: Thaw, ready: Dataset) -> None:
    run, store = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="x")[0], Store(thaw.settings)
    assert (thaw.runs.progress(WORKSPACE, run).events, thaw.runs.progress(WORKSPACE, run).last_seq) == ([], 0)
    store.events.append(run, [(1.0, "step", {"step": i, "loss": 1.0}) for i in range(5)])
    first = thaw.runs.progress(WORKSPACE, run)
    assert (len(first.events), first.last_seq, first.run.id) == (5, 5, run)
    store.events.append(run, [(2.0, "note", {"text": "hello"})])
    assert [e.kind for e in thaw.runs.progress(WORKSPACE, run, after=first.last_seq).events] == ["note"]
    assert thaw.runs.progress(WORKSPACE, run, after=6).last_seq == 6
    assert len(thaw.runs.curves(WORKSPACE, run).steps) == 5


def test_a_result_shows_when_the_run_has_ended_and_again_after_it_is_rewritten(thaw: Thaw, ready: Dataset) -> None:
    run = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="x")[0]
    assert thaw.runs.result(WORKSPACE, run) is None
    finish(thaw, run, [0, 1], labels=[0, 0])
    path = Path(thaw.runs.get(WORKSPACE, run).folder) / "result.json"
    found = thaw.runs.result(WORKSPACE, run)
    assert found is not None and found.metrics["test"]["accuracy"].value == 0.5
    path.write_text(path.read_text(encoding="utf-8").replace('"steps": 8', '"steps": 80000'), encoding="utf-8")
    assert thaw.runs.result(WORKSPACE, run).steps == 80_000  # type: ignore[union-attr]


def test_the_log_is_the_end_of_the_file(thaw: Thaw, ready: Dataset) -> None:
    run = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="x")[0]
    assert thaw.runs.log(WORKSPACE, run) == ""
    folder = Path(thaw.runs.get(WORKSPACE, run).folder)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_bytes(b"start" + b"x" * 2_000_000 + "Ende: größer".encode())
    assert thaw.runs.log(WORKSPACE, run).endswith("Ende: größer") and len(thaw.runs.log(WORKSPACE, run)) <= 1_000_000


# -- datasets ----------------------------------------------------------------------------------------------------------


def test_rows_are_filtered_by_split_class_and_text(thaw: Thaw, ready: Dataset) -> None:
    for split in ("train", "test"):
        assert len(thaw.data.rows(WORKSPACE, ready.id, n=1000, split=split)) == ready.rows(split)
    label = ready.classes[1]
    rows = thaw.data.rows(WORKSPACE, ready.id, n=1000, label=label)
    assert len(rows) == ready.counts["train"][label] and {row["label"] for row in rows} == {label}
    word = str(rows[0]["text"]).split()[0]
    found = thaw.data.rows(WORKSPACE, ready.id, n=1000, search=word.upper())
    assert found and all(word.lower() in str(row["text"]).lower() for row in found)
    assert thaw.data.rows(WORKSPACE, ready.id, search=".*") == [], "a search is text, not a pattern"
    with pytest.raises(DataError, match="no class"):
        thaw.data.rows(WORKSPACE, ready.id, label="nonsense")


def test_a_dataset_in_use_is_not_deleted(thaw: Thaw, ready: Dataset) -> None:
    run = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="the run")[0]
    assert [user.id for user in thaw.data.users(WORKSPACE, ready.id)] == [run]
    with pytest.raises(ThawError, match="need it: LoRA"):
        thaw.data.delete(WORKSPACE, ready.id)
    thaw.runs.stop(WORKSPACE, run)
    thaw.data.delete(WORKSPACE, ready.id)
    assert thaw.data.all(WORKSPACE) == []
    with pytest.raises(NotFoundError, match="dataset"):
        thaw.runs.resume(WORKSPACE, run)


def test_a_file_is_previewed_and_imported(thaw: Thaw, tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    lines = [f"This is review number {i} of a {word} film,{word}" for i in range(60) for word in ("good", "bad")]
    path.write_text("\n".join(["review,verdict", *lines]), encoding="utf-8")
    preview = thaw.data.preview(path)
    assert preview.roles == {"review": "text", "verdict": "label"} and set(preview.evidence) == {"review", "verdict"}
    assert len(preview.rows) == 10 and preview.rows_read == 120
    thaw.touch_workspace(WORKSPACE)
    table = tables.read(path, settings=thaw.settings)
    dataset, _ = ingest.ingest(table, name="Reviews", roles=preview.roles, settings=thaw.settings, workspace=WORKSPACE)
    assert dataset.classes == ("bad", "good") and dataset.rows_kept == 120
    assert thaw.data.all(WORKSPACE) == [dataset]
    report = thaw.data.report(WORKSPACE, dataset.id)
    assert report is not None and report.rows_read == 120


# -- comparison --------------------------------------------------------------------------------------------------------

LABELS = [0, 1, 2] * 20


def pair(thaw: Thaw, dataset: Dataset, **second: object) -> tuple[str, str]:
    a, b = thaw.experiments.submit(WORKSPACE, [recipe(dataset, "full"), recipe(dataset, "lora", seed=1)], name="title")
    finish(thaw, a, LABELS, labels=LABELS)
    finish(thaw, b, **{"predictions": [0] * 60, "labels": LABELS, **second})  # type: ignore[arg-type]
    return a, b


def test_runs_side_by_side(thaw: Thaw, ready: Dataset) -> None:
    a, b = pair(thaw, ready)
    open_run = thaw.experiments.submit(WORKSPACE, [recipe(ready, "probe")], name="later")[0]
    comparison = thaw.experiments.compare(WORKSPACE, [b, a, open_run, b])
    assert comparison.ids == (b, a, open_run)
    accuracy = [row.metrics["test"]["accuracy"].value if row.metrics else None for row in comparison.rows]
    assert accuracy == [pytest.approx(1 / 3), 1.0, None]
    assert comparison.rows[1].total_params == 100 and comparison.rows[2].total_params is None
    assert comparison.confusion == {b: [[20, 0, 0]] * 3, a: np.diag([20, 20, 20]).tolist()}
    assert comparison.classes == ("a", "b", "c")
    assert comparison.differences["method"] == ["lora", "full", "probe"] and comparison.differences["seed"] == [1, 0, 0]
    assert "dataset" not in comparison.differences
    with pytest.raises(RecipeError, match="trained nothing"):
        thaw.experiments.compare(WORKSPACE, [thaw.models.prepare(WORKSPACE, model="minilm")])


def test_seeds_of_one_arm_are_one_measurement(thaw: Thaw, ready: Dataset) -> None:
    recipes = [recipe(ready, "lora", seed=seed) for seed in (0, 1, 2)] + [recipe(ready, "full")]
    ids = thaw.experiments.submit(WORKSPACE, recipes, name="title")
    for number, id in enumerate(ids):
        finish(thaw, id, [0] * 60 if number == 1 else LABELS, labels=LABELS)
    (group,) = thaw.experiments.seed_groups(WORKSPACE, ids)  # one seed of full is nothing to pool
    assert group.ids == tuple(ids[:3])
    accuracy = group.metrics["accuracy"]
    assert accuracy.value == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert accuracy.low < 0.6 and accuracy.high == 1.0
    assert thaw.experiments.seed_groups(WORKSPACE, ids[2:]) == ()


def test_a_format_that_was_left_open_is_the_one_computed_in(thaw: Thaw, ready: Dataset) -> None:
    """Seeds from before recipes were resolved are of the same arm as those after."""
    (thaw.settings.home / "device.json").unlink()
    recipes = [recipe(ready), recipe(ready, seed=1, precision="fp32"), recipe(ready, seed=2, precision="bf16")]
    ids = thaw.experiments.submit(WORKSPACE, recipes, name="x")
    for id in ids:
        finish(thaw, id, LABELS, labels=LABELS)  # its result says fp32 ...
    path = Path(thaw.runs.get(WORKSPACE, ids[2]).folder) / "result.json"
    # ... but for the third
    path.write_text(path.read_text(encoding="utf-8").replace('"fp32"', '"bf16"'), encoding="utf-8")
    (group,) = thaw.experiments.seed_groups(WORKSPACE, ids)
    assert group.ids == tuple(ids[:2])


def test_paired_test_aligns_rows_by_id(thaw: Thaw, ready: Dataset) -> None:
    a, b = pair(thaw, ready, reverse=True)
    test = thaw.experiments.paired(WORKSPACE, a, b)
    assert (test.n, test.both_right, test.only_a, test.only_b, test.both_wrong) == (60, 20, 40, 0, 0)
    assert test.difference.value == pytest.approx(2 / 3)
    assert test.sentence.startswith("Full fine-tuning · seed 0 is better than LoRA · seed 1")


@pytest.mark.parametrize(("second", "why"), [({"dataset_hash": "other"}, "different datasets"),
                                             ({"first_row": 5}, "different rows"),
                                             ({"labels": [1, 1, 2] * 20}, "different rows")])
def test_paired_test_refuses_other_rows(thaw: Thaw, ready: Dataset, second: dict[str, object], why: str) -> None:
    a, b = pair(thaw, ready, **second)
    with pytest.raises(DataError, match=why):
        thaw.experiments.paired(WORKSPACE, a, b)


def test_paired_test_needs_predictions(thaw: Thaw, ready: Dataset) -> None:
    a, b = pair(thaw, ready)
    with pytest.raises(NotFoundError, match="no predictions on shift rows"):
        thaw.experiments.paired(WORKSPACE, a, b, split="shift")


# -- cost --------------------------------------------------------------------------------------------------------------


def test_polling_and_listing_are_cheap(thaw: Thaw, ready: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(thaw.settings)
    monkeypatch.setattr(thaw._desk, "store", store)
    ids = thaw.experiments.submit(WORKSPACE, [recipe(ready, seed=seed) for seed in range(50)], name="some")
    claim = store.queue.claim(supervisor="test", host="here", slots=1)
    assert claim and claim.run.id == ids[0]
    store.events.append(ids[0], [(0.0, "step", {"step": i, "loss": 1.0, "memory_bytes": 1}) for i in range(100)])
    few = (cost.sql(store, lambda: thaw.runs.progress(WORKSPACE, ids[0], after=95)),
           cost.sql(store, lambda: thaw.runs.all(WORKSPACE)))
    for _ in range(3):
        thaw.experiments.submit(WORKSPACE, [recipe(ready, seed=seed) for seed in range(150)], name="many")
    store.events.append(ids[0], [(0.0, "step", {"step": i, "loss": 1.0, "memory_bytes": 1}) for i in range(4900)])
    polling = cost.sql(store, lambda: thaw.runs.progress(WORKSPACE, ids[0], after=4995))
    listing = cost.sql(store, lambda: thaw.runs.all(WORKSPACE))
    assert polling.statements == few[0].statements <= 8 and polling.instructions < 1.1 * few[0].instructions
    assert listing.statements == few[1].statements <= 4 and listing.instructions < 15 * few[1].instructions


READ_EVERYTHING = """
import sys
from pathlib import Path
from core import settings
from core.api import Thaw
thaw, ws, run, dataset = Thaw(settings.load()), *sys.argv[1:4]
thaw.touch_workspace(ws)
thaw.data.bundled(), thaw.models.bundled(), thaw.data.all(ws), thaw.data.users(ws, dataset)
thaw.data.rows(ws, dataset, search="a"), thaw.data.preview(Path(sys.argv[4]))
facts = thaw.models.facts("minilm")
recipe = thaw.experiments.default_recipe(ws, dataset=dataset, model="minilm", method="partial")
assert len(thaw.models.methods(facts)) >= 6 and thaw.experiments.estimate(ws, recipe) is not None
thaw.runs.all(ws), thaw.runs.progress(ws, run), thaw.runs.curves(ws, run), thaw.runs.result(ws, run)
thaw.runs.log(ws, run), thaw.experiments.all(ws)
assert thaw.experiments.compare(ws, [run]).confusion and thaw.experiments.paired(ws, run, run).n
thaw.device(), thaw.supervisor_alive(), thaw.disk_use(ws)
thaw.experiments.submit(ws, [recipe], name="x")
heavy = {"torch", "transformers", "streamlit", "peft", "bitsandbytes", "datasets", "sklearn"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_web_process_stays_small(thaw: Thaw, ready: Dataset, tmp_path: Path) -> None:
    run = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="x")[0]
    finish(thaw, run, LABELS, labels=LABELS)
    table = tmp_path / "table.csv"
    table.write_text("text,label\n" + "a b c,x\nd e f,y\n" * 20, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", READ_EVERYTHING, WORKSPACE, run, ready.id, str(table)],
                          capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
                          env={**os.environ, "THAW_HOME": str(thaw.settings.home)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_a_shift_set_shows_in_the_dataset(thaw: Thaw, settings: Settings) -> None:
    dataset = write_dataset(settings, n_rows=30, shift_rows=9)
    assert len(thaw.data.rows(WORKSPACE, dataset.id, n=100, split="shift")) == 9


def test_the_verdict_finds_the_probe_of_the_experiment(thaw: Thaw, ready: Dataset) -> None:
    probe, run = thaw.experiments.submit(WORKSPACE, [recipe(ready, "probe"), recipe(ready)], name="x")
    assert thaw.runs.verdict(WORKSPACE, run) is None  # not ended
    labels = [0, 1] * 50
    finish(thaw, probe, [0] * 100, labels=labels)
    finish(thaw, run, labels, labels=labels)
    found = thaw.runs.verdict(WORKSPACE, run)
    assert found is not None
    line = found.line("target")
    assert str(line.word) == "better" and line.difference is not None and line.difference.value == 0.5
