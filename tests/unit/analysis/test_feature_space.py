"""Two sides from files: the same rows, exact where frozen, one report for all, read again without being computed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import files
from core.analysis import (
    FeatureComparison,
    View,
    aligned,
    breaks,
    downloads,
    feature_comparison,
    feature_paths,
    judged_rows,
    over_training,
    row_facts,
    seed_similarity,
    shift_report,
)
from core.analysis.feature_files import BlockFeatures, digest_of
from core.analysis.sample import NOTHING, SHIFT_SET
from core.data import library
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.model import Block, LinearLayer, ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import Interval, Result
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError, RecipeError
from core.models import facts as model_facts
from core.settings import Settings
from core.shift.breakit import BREAKS
from tests.conftest import WORKSPACE, write_dataset

NAMES = ("embeddings", "block 0", "block 1")


@pytest.fixture
def facts(settings: Settings) -> ModelFacts:
    linear = (LinearLayer(name="x.attention", kind="attention", in_features=8, out_features=8),)
    blocks = tuple(Block(index=i, name=name, parameters=10, linear_layers=linear if i else ())
                   for i, name in enumerate(NAMES))
    found = ModelFacts(id="small", revision="r1", architecture="BertModel", tasks=(Task.TEXT_CLASSIFICATION,),
                       blocks=blocks, hidden_size=8, intermediate_size=16, attention_heads=2, max_length=64)
    model_facts.write(found, settings)
    return found


@pytest.fixture
def dataset(settings: Settings) -> Dataset:
    return write_dataset(settings, n_rows=90, shift_rows=12)


Maker = Callable[..., Path]


def compared(folder: Path, dataset: Dataset, settings: Settings, second: str = SHIFT_SET) -> FeatureComparison:
    """A run's base model and what training made of it."""
    return feature_comparison.compare(Side.of(folder, Which.BASE), Side.of(folder), names=("base model", "LoRA"),
                                      dataset=dataset, settings=settings, workspace=WORKSPACE, rows=2000, second=second)


@pytest.fixture
def run(settings: Settings, facts: ModelFacts, dataset: Dataset, tmp_path: Path) -> Maker:
    """`run("lora")`: a run folder with features of 60 rows, shift rows among them; `moved` adds noise to the top
    block."""

    def make(method: str, *, name: str = "", moved: float = 0.3, seed: int = 0, dataset_hash: str = "",
             steps: bool = False, freeze: FreezePlan = FreezePlan()) -> Path:  # noqa: B008
        folder = tmp_path / (name or method)
        recipe = Recipe(dataset=dataset.id, base_model="small", method=method, seed=seed, freeze=freeze)
        result = Result(metrics={"test": {"accuracy": Interval(value=1, low=1, high=1)}}, trainable_params=1,
                        total_params=2, seconds=1.0, phase_seconds={}, peak_memory_bytes=1, estimated_memory_bytes=1,
                        artifact_bytes=1, steps=1, samples=1, precision="fp32", device="cpu",
                        dataset_hash=dataset_hash or dataset.content_hash)
        files.write_json(folder / "recipe.json", recipe.to_json())
        files.write_json(folder / "result.json", codec.to_json(result))
        files.write_json(folder / "artifact" / "labels.json", {"classes": list(dataset.classes), "precision": "fp32"})
        where = feature_paths.of_run(folder, settings=settings, rows=2000)
        row_ids = np.arange(42, 102)
        base = {n: np.random.default_rng(i).standard_normal((60, 8)) + np.eye(8)[row_ids % 3] * 3
                for i, n in enumerate(NAMES)}
        noise = np.random.default_rng(9 + seed).standard_normal((60, 8))
        tuned = base | {"block 1": base["block 1"] + moved * noise}
        BlockFeatures(row_ids=row_ids, blocks=base).save(where.base)
        if where.quantised:
            rounded = {n: v + 0.01 * np.random.default_rng(5).standard_normal(v.shape) for n, v in base.items()}
            BlockFeatures(row_ids=row_ids, blocks=rounded).save(where.quantised)
        BlockFeatures(row_ids=row_ids, blocks=tuned).save(where.tuned)
        for step in (0, 3) if steps else ():
            top = base["block 1"] if step == 0 else tuned["block 1"]
            # recorded in other batches than the shared base features: not equal to the last bit
            BlockFeatures(row_ids=row_ids[10:50], blocks={"block 1": top[10:50] * (1 + 1e-3)}, step=step).save(
                folder / "features" / f"step-{step:07d}.safetensors")
        return folder

    return make


@pytest.fixture
def pair(settings: Settings, dataset: Dataset) -> Callable[[Side, Side], aligned.AlignedSides]:
    table = row_facts.table(dataset.id, settings=settings, workspace=WORKSPACE)
    return lambda a, b: aligned.align(a, b, settings=settings, table=table)


def test_base_against_tuned_knows_labels_shift_rows_and_what_was_frozen(run: Maker, pair, dataset: Dataset,
                                                                        settings: Settings) -> None:
    folder = run("partial", freeze=FreezePlan(frozen=("embeddings", "block 0")))
    found = pair(Side.of(folder, Which.BASE), Side.of(folder))
    assert found.features.frozen == (True, True, False)
    assert found.features.shift is not None and found.features.shift.sum() == 12
    label_of = {row["row_id"]: row["label"] for row in rows_of(dataset, settings)}
    assert found.features.labels.tolist() == [label_of[row] for row in found.row_ids.tolist()]
    assert len(np.unique(found.features.labels)) == 3
    assert list(found.splits[-12:]) == ["shift"] * 12


def test_adapters_move_blocks_that_have_them_and_leave_the_others(run: Maker, pair) -> None:
    folder = run("lora")
    assert pair(Side.of(folder, Which.BASE), Side.of(folder)).features.frozen == (True, False, False)


def test_four_bits_are_told_apart_from_training(run: Maker, pair, settings: Settings) -> None:
    folder = run("qlora")
    plain = pair(Side.of(folder, Which.BASE), Side.of(folder, Which.FOUR_BIT))
    assert plain.features.frozen == (False, False, False)  # rounding may move every block
    assert pair(Side.of(folder, Which.FOUR_BIT), Side.of(folder)).features.frozen == (True, False, False)


def test_two_runs_meet_where_both_were_frozen(run: Maker, pair) -> None:
    a, b = run("partial", freeze=FreezePlan(frozen=("embeddings", "block 0"))), run("probe", moved=0.0)
    assert pair(Side.of(a), Side.of(b)).features.frozen == (True, True, False)
    assert pair(Side.of(a), Side.of(run("scratch"))).features.frozen == (False, False, False)


def test_a_recorded_step_starts_from_step_zero_and_borrows_cached_blocks(run: Maker, pair) -> None:
    folder = run("partial", freeze=FreezePlan(frozen=("embeddings", "block 0")), steps=True)
    start = pair(Side.of(folder, Which.BASE), Side.of(folder, Which.STEP, 0))
    assert len(start.row_ids) == 40 and start.features.names == NAMES
    assert all(np.array_equal(x, y) for x, y in zip(start.features.base, start.features.tuned, strict=True))
    later = pair(Side.of(folder, Which.BASE), Side.of(folder, Which.STEP, 3))
    same = [np.array_equal(x, y) for x, y in zip(later.features.base, later.features.tuned, strict=True)]
    assert same == [True, True, False]


def test_other_data_and_missing_features_are_refused(run: Maker, pair, settings: Settings) -> None:
    a, b = run("lora"), run("full", dataset_hash="another")
    with pytest.raises(DataError, match="row by row"):
        pair(Side.of(a), Side.of(b))
    feature_paths.of_run(a, settings=settings, rows=2000).tuned.unlink()
    with pytest.raises(NotFoundError, match="not here"):
        pair(Side.of(a, Which.BASE), Side.of(a))


@pytest.fixture
def second_set(settings: Settings) -> Callable[..., Dataset]:
    """`second_set(folder, …)`: a second dataset of 60 rows, with features of 20 of them on every side of these runs."""

    def make(*folders: Path) -> Dataset:
        other = write_dataset(settings, n_rows=60)
        for folder in folders:
            where = feature_paths.of_run(folder, settings=settings, rows=2000).at_rows_of(other.id, settings=settings)
            base = {n: np.random.default_rng(50 + i).standard_normal((20, 8)) for i, n in enumerate(NAMES)}
            for path in (where.base, where.quantised, where.tuned):
                if path is not None:
                    blocks = base | ({"block 1": base["block 1"] + 1} if path == where.tuned else {})
                    BlockFeatures(row_ids=np.arange(40, 60), blocks=blocks).save(path)
        return other

    return make


def test_a_second_dataset_takes_the_place_of_the_shift_set(run: Maker, second_set, settings: Settings,
                                                           dataset: Dataset) -> None:
    folder = run("lora")
    other = second_set(folder)
    table = row_facts.table(dataset.id, settings=settings, workspace=WORKSPACE)
    sides = Side.of(folder, Which.BASE), Side.of(folder)
    own, none, second = (aligned.align(*sides, settings=settings, table=table, second=wanted)
                         for wanted in (SHIFT_SET, NOTHING, other.id))
    assert own.features.shift.sum() == 12 and not own.of_second.any()
    assert none.features.shift is None and len(none.row_ids) == 48
    assert second.of_second.sum() == 20 == second.features.shift.sum() and len(second.row_ids) == 68
    assert (second.features.labels[second.of_second] == -1).all() and set(second.splits[second.of_second]) == {"beside"}
    assert len({own.key, none.key, second.key}) == 3
    report = [shift_report.of(p, settings=settings) for p in (own, second)]
    last = [r.blocks[-1] for r in report]
    assert last[1].displacement == pytest.approx(last[0].displacement), "numbers of the target rows stay as they are"
    assert report[1].classes == 3 and last[1].base.gap.mmd > 0 and last[1].displacement_shift > 0
    named = shift_report.named(report[1], second, a="base model", b="LoRA", second="Other")
    assert any("Other rows moved more than target rows" in text for text in named.findings)


def test_rows_of_two_datasets_are_never_confused(run: Maker, second_set, settings: Settings, dataset: Dataset) -> None:
    import io

    import pyarrow.parquet as pq

    folder = run("lora")
    other = second_set(folder)
    opened = compared(folder, dataset, settings, other.id)
    far = opened.aligned.of_second
    assert set(opened.row_ids[far]) & set(opened.row_ids[~far]), "the same ids occur in both"
    assert len(set(opened.row_keys)) == len(opened.row_ids) == len(opened.contents)
    texts = [{row["row_id"]: row["text"] for row in rows_of(found, settings)} for found in (dataset, other)]
    assert list(opened.contents) == [texts[int(f)][row] for row, f in zip(opened.row_ids, far, strict=True)]
    drawn = opened.map(2, View.UNION)
    points = pq.read_table(io.BytesIO(downloads.points(opened, drawn, 2))).to_pandas()
    assert set(points["dataset_id"]) == {dataset.id, other.id}
    assert not points.duplicated(["dataset_id", "row_id", "run"]).any()
    assert points["label"][points["dataset_id"] == other.id].isna().all()
    assert json.loads(downloads.numbers(opened))["beside"]["id"] == other.id


def rows_of(dataset: Dataset, settings: Settings) -> list[dict[str, object]]:
    """Every row of a dataset."""
    return library.read_rows(dataset, settings=settings, workspace=WORKSPACE).to_pylist()


def test_a_recorded_step_has_no_rows_of_a_second_dataset(run: Maker, second_set, settings: Settings,
                                                         dataset: Dataset) -> None:
    folder = run("lora", steps=True)
    other = second_set(folder)
    table = row_facts.table(dataset.id, settings=settings, workspace=WORKSPACE)
    with pytest.raises(NotFoundError, match="not here"):
        aligned.align(Side.of(folder, Which.BASE), Side.of(folder, Which.STEP, 3), settings=settings, table=table,
                     second=other.id)


def test_the_report_is_kept_and_read_back_the_same(run: Maker, pair, settings: Settings,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run("lora")
    found = pair(Side.of(folder, Which.BASE), Side.of(folder))
    first = shift_report.of(found, settings=settings)
    from core.analysis import report_cache
    from core.shift import report

    report_cache._read.cache_clear()
    monkeypatch.setattr(report, "measure", lambda *a, **k: pytest.fail("measured twice"))
    again = shift_report.of(pair(Side.of(folder, Which.BASE), Side.of(folder)), settings=settings)
    assert json.dumps(again.to_json()) == json.dumps(first.to_json())
    for old, new in zip(first.blocks, again.blocks, strict=True):
        assert np.array_equal(old.rows.near_tuned, new.rows.near_tuned) and old.rows.kept.dtype == new.rows.kept.dtype
        assert old.procrustes == new.procrustes and old.state is new.state
    assert again.map is not None and again.map.view is View.UNION


def test_a_map_is_kept_by_block_and_view(run: Maker, pair, settings: Settings) -> None:
    folder = run("lora")
    found = pair(Side.of(folder, Which.BASE), Side.of(folder))
    union = shift_report.map_of(found, 2, view=View.UNION, settings=settings)
    change = shift_report.map_of(found, 2, view=View.CHANGE, settings=settings)
    assert union is not None and change is not None and change.movement_captured > union.movement_captured
    kept = {p.name for p in (settings.cache / "shift").glob("*/map-*.json")}
    assert kept == {"map-union-turned2-2.json", "map-change-turned2-2.json"}


def test_names_reach_the_sentences(run: Maker, pair, settings: Settings) -> None:
    folder = run("probe", moved=0.0)
    found = pair(Side.of(folder, Which.BASE), Side.of(folder))
    report = shift_report.of(found, settings=settings)
    first = shift_report.named(report, found, a="base model", b="Linear probe").findings[0]
    assert first.startswith("Base model and Linear probe are identical")


def test_features_of_equal_content_share_a_digest(run: Maker, settings: Settings) -> None:
    same = feature_paths.of_run(run("probe", moved=0.0), settings=settings, rows=2000)
    assert digest_of(same.base) == digest_of(same.tuned)
    other = feature_paths.of_run(run("lora"), settings=settings, rows=2000)
    assert digest_of(other.tuned) != digest_of(other.base)


@pytest.fixture
def opened(run: Maker, settings: Settings, dataset: Dataset) -> FeatureComparison:
    folder = run("lora")
    return compared(folder, dataset, settings)


def test_many_who_open_the_page_at_once_are_measured_for_one_after_another(
        run: Maker, settings: Settings, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.shift import report

    measure, under_way, seen = report.measure, threading.Lock(), []

    def alone(*args: Any, **options: Any) -> Any:
        assert under_way.acquire(blocking=False), "another is being measured"
        try:
            seen.append(1)
            return measure(*args, **options)
        finally:
            under_way.release()

    monkeypatch.setattr(report, "measure", alone)
    folders = [run("lora", name=f"run {seed}", seed=seed) for seed in range(3)]

    with ThreadPoolExecutor(9) as pool:
        found = list(pool.map(lambda folder: compared(folder, dataset, settings), folders * 3))
    assert len(seen) == 3
    assert [s.shift.blocks[-1].cka for s in found[:3]] == [s.shift.blocks[-1].cka for s in found[3:6]]
    assert len({s.shift.blocks[-1].cka for s in found}) == 3


def test_base_predictions_are_the_probe_heads(run: Maker, settings: Settings, dataset: Dataset) -> None:
    from safetensors.numpy import save_file

    folder = run("full")
    head = {"weight": np.eye(8, dtype=np.float32)[:3], "bias": np.zeros(3, np.float32)}
    save_file(head, str(folder / "artifact" / "base_head.safetensors"))
    features = aligned.load(Side.of(folder, Which.BASE), settings=settings)
    last = features.blocks["block 1"]
    guesses = row_facts.predictions(Side.of(folder, Which.BASE), last, features.row_ids)
    assert guesses is not None
    assert np.array_equal(guesses, last[:, :3].astype(np.float32).argmax(axis=1))
    assert row_facts.predictions(Side.of(folder, Which.STEP, 0), last, features.row_ids) is None


def test_exports_hold_every_number_with_seed_and_versions(opened: FeatureComparison) -> None:
    import io

    import pandas as pd
    import pyarrow.parquet as pq

    document = json.loads(downloads.numbers(opened))
    assert document["seed"] == 0 and document["run"] == "LoRA" and "numpy" in document["versions"]
    table = pd.read_csv(io.BytesIO(downloads.table(opened)))
    assert list(table["name"]) == list(NAMES) and table["seed"].eq(0).all()
    assert table["versions"].str.contains("numpy=").all()
    drawn = opened.map(2, View.UNION)
    assert drawn is not None
    points = pq.read_table(io.BytesIO(downloads.points(opened, drawn, 2))).to_pandas()
    assert {"row_id", "x", "y", "block", "run"} <= set(points.columns) and len(points) == 2 * len(opened.row_ids)
    assert np.allclose(points["x"][points["run"] == "LoRA"], drawn.tuned[:, 0])


def test_a_figure_leaves_as_a_page_that_needs_no_network(opened: FeatureComparison) -> None:
    from core.plots import shift_rows

    kept = opened.shift.blocks[2].rows.kept
    page = downloads.html(shift_rows.kept_histogram(kept, chance=0.1)).decode()
    assert "Plotly.newPlot" in page and "src=\"http" not in page


@pytest.mark.slow
@pytest.mark.skipif(downloads.browser() is None, reason="no Chromium on this machine")
def test_a_figure_leaves_as_png_and_svg(opened: FeatureComparison) -> None:
    from core.plots import shift_rows

    chart = shift_rows.kept_histogram(opened.shift.blocks[2].rows.kept, chance=0.1)
    assert downloads.picture(chart, "png").startswith(b"\x89PNG")
    assert b"<svg" in downloads.picture(chart, "svg")[:200]


@pytest.mark.parametrize("name", [b.name for b in BREAKS])
def test_breaking_fools_the_numbers_it_should(name: str, opened: FeatureComparison) -> None:
    broken = breaks.measure(opened, 2, name)
    assert broken is not None and broken.before.cka and broken.after.cka
    before, after = broken.before, broken.after
    if name in ("rotate", "scale"):
        assert after.cka.value == pytest.approx(before.cka.value, abs=1e-9) and after.displacement > before.displacement
    if name == "shuffle":
        assert after.cka.value < 0.3 < before.cka.value
        assert after.tuned.knn_accuracy.value == pytest.approx(before.tuned.knn_accuracy.value)
    if name == "rogue":
        assert after.cka.value > before.cka.value


def test_a_block_over_training_has_one_frame_a_step(run: Maker, settings: Settings, dataset: Dataset) -> None:
    folder = run("lora", steps=True)
    where = {"dataset": dataset, "settings": settings, "workspace": WORKSPACE, "rows": 2000}
    found = over_training.of_block(folder, "block 1", **where)
    assert found is not None and found.steps == (0, 3) and [len(f) for f in found.frames] == [40, 40]
    assert found.checkpoints[0].cka == 1.0 and found.checkpoints[1].cka < 1
    assert over_training.of_block(run("full"), "block 1", **where) is None


def test_two_seeds_are_a_yardstick(run: Maker, settings: Settings, dataset: Dataset) -> None:
    sides = Side.of(run("full")), Side.of(run("full", name="again", seed=1))
    values = seed_similarity.by_block(*sides, dataset=dataset, settings=settings, workspace=WORKSPACE, rows=2000)
    assert values[:2] == (1.0, 1.0) and 0.5 < values[2] < 1


def test_features_of_a_change_turned_up_or_down_are_refused_in_words(run: Maker, settings: Settings) -> None:
    with pytest.raises(RecipeError, match="strength 2"):
        aligned.load(replace(Side.of(run("lora")), strength=2.0), settings=settings)


def test_rows_that_changed_most_since_the_base_model(run: Maker, settings: Settings, tmp_path: Path) -> None:
    """The base model answers through its stored probe, at the rows that were judged and whose features are made."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from safetensors.numpy import save_file

    folder = run("lora")
    assert not judged_rows.has_base(folder, settings=settings)
    assert judged_rows.beside_base(folder, settings=settings) is None
    weight = np.random.default_rng(3).standard_normal((3, 8)).astype(np.float32)
    save_file({"weight": weight, "bias": np.zeros(3, np.float32)}, folder / "artifact" / "base_head.safetensors")
    row_ids = np.arange(30, 60)  # features begin at row 42
    sure = np.eye(3)[row_ids % 3]
    pq.write_table(pa.table({"row_id": row_ids, "label": row_ids % 3, "prediction": row_ids % 3,
                             "probabilities": sure.tolist()}), folder / "predictions-test.parquet")
    assert judged_rows.has_base(folder, settings=settings)
    found = judged_rows.beside_base(folder, settings=settings)
    assert found is not None and found.row_ids.tolist() == list(range(42, 60))
    stored = BlockFeatures.load(feature_paths.of_run(folder, settings=settings, rows=2000).base)
    logits = stored.blocks["block 1"][:18].astype(np.float64) @ weight.T
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.others is not None and found.others.tolist() == p.argmax(axis=1).tolist()
    assert found.change == pytest.approx(1 - p[np.arange(18), row_ids[12:] % 3], abs=1e-4)
    assert found.ordered("changed")[0] == int(np.argmax(found.change))
    assert found.numbers is not None and found.numbers.loss == pytest.approx(np.zeros(18))


def test_every_run_is_drawn_by_the_base_model_s_own_camera_which_is_kept(run: Maker, pair, settings: Settings) -> None:
    folders = [run("lora"), run("full", moved=2.0)]
    found = [pair(Side.of(folder, Which.BASE), Side.of(folder)) for folder in folders]
    drawn = [shift_report.map_of(sides, 2, view=View.BASE, settings=settings) for sides in found]
    assert np.array_equal(drawn[0].base, drawn[1].base) and not np.array_equal(drawn[0].tuned, drawn[1].tuned)
    assert len(list((settings.cache / "orientation").glob("*/axes.npy"))) == 1, "fitted once"
    two = pair(Side.of(folders[0]), Side.of(folders[1]))
    both = shift_report.map_of(two, 2, view=View.BASE, settings=settings)
    assert np.array_equal(both.base, drawn[0].tuned), "a tuned model is where it was, also as side A"


def test_sentences_name_the_block_that_is_looked_at_and_the_sides(run: Maker, pair, settings: Settings) -> None:
    folder = run("lora")
    found = pair(Side.of(folder, Which.BASE), Side.of(folder))
    report = shift_report.named(shift_report.of(found, settings=settings), found, a="one", b="other")
    for at, name in enumerate(found.features.names):
        about = [text for text in shift_report.sentences(report, found, at=at)[1:] if "k-NN accuracy" in text]
        assert len(about) == 1 and name in about[0] and ("in other" in about[0] or "in both" in about[0])
        assert "before" not in about[0] and "after" not in about[0]
