"""Features of every side of a run: shared base, exact where frozen, moved where trained, recorded while training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.analysis import aligned
from core.analysis.feature_files import BlockFeatures
from core.analysis.feature_paths import second_of, steps_of
from core.analysis.sample import SECOND_ROWS, probe_sample, second_sample
from core.domain.dataset import Dataset
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side, Which
from core.errors import NotFoundError
from core.features import pooled
from core.features.row_store import RowStore
from core.settings import Settings
from core.training.execute import execute
from core.training.extract import extract, measure
from core.training.recorder import recorded_steps
from tests.conftest import WORKSPACE, Notes, write_dataset


def make(dataset: Dataset, model: Path, method: str, **fields: object) -> Recipe:
    values: dict[str, object] = {"epochs": 1.0, "batch_size": 8, "learning_rate": 1e-3, "max_length": 32,
                                 "precision": "fp32", "lora": LoraSpec(rank=4)}
    return Recipe(dataset=dataset.id, base_model=str(model), method=method, **(values | fields))  # type: ignore[arg-type]


def run(recipe: Recipe, settings: Settings, folder: Path) -> None:
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=Notes())


def test_frozen_blocks_read_exactly_the_same_and_trained_ones_do_not(settings: Settings, tiny_model: Path,
                                                                     tiny_dataset: Dataset, tmp_path: Path) -> None:
    run(make(tiny_dataset, tiny_model, "partial", freeze=FreezePlan(frozen=("embeddings", "block 0", "block 1"))),
        settings, tmp_path / "run")
    found = extract(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes())
    base, tuned = BlockFeatures.load(found.base), BlockFeatures.load(found.tuned)
    assert base.names == tuned.names == ("embeddings", "block 0", "block 1", "block 2", "block 3")
    assert np.array_equal(base.row_ids, tuned.row_ids) and len(base.row_ids) == 36
    same = [np.array_equal(base.blocks[name], tuned.blocks[name]) for name in base.names]
    assert same == [True, True, True, False, False]


@pytest.mark.parametrize("method", ["partial", "lora", "qlora"])
def test_frozen_blocks_are_not_run_again_and_give_what_a_whole_pass_gives(method: str, settings: Settings,
                                                                          tiny_model: Path, tmp_path: Path,
                                                                          tiny_dataset: Dataset,
                                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make(tiny_dataset, tiny_model, method, freeze=FreezePlan(frozen=("embeddings", "block 0", "block 1")))
    run(recipe, settings, tmp_path / "run")
    asked: list[np.ndarray] = []
    read = RowStore.read
    monkeypatch.setattr(RowStore, "read", lambda store, index: (asked.append(index), read(store, index))[1])
    cached = BlockFeatures.load(extract(tmp_path / "run", settings=settings, workspace=WORKSPACE,
                                        observer=Notes()).tuned)
    assert len(set(asked)) == 36, "every row of the sample came from the prefix cache"
    shutil.rmtree(settings.cache / "prefix")
    (tmp_path / "run" / "features" / "final-2000.safetensors").unlink()
    whole = BlockFeatures.load(extract(tmp_path / "run", settings=settings, workspace=WORKSPACE,
                                       observer=Notes()).tuned)
    assert not (settings.cache / "prefix").exists(), "asking for a cache does not make one"
    for name in whole.names:
        np.testing.assert_allclose(cached.blocks[name].astype(float), whole.blocks[name].astype(float), atol=2e-3)


def test_a_probe_leaves_every_block_identical(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                              tmp_path: Path) -> None:
    run(make(tiny_dataset, tiny_model, "probe"), settings, tmp_path / "run")
    found = extract(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes())
    base, tuned = BlockFeatures.load(found.base), BlockFeatures.load(found.tuned)
    assert all(np.array_equal(base.blocks[name], tuned.blocks[name]) for name in base.names)


def test_qlora_has_a_third_side_and_base_is_shared(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                   tmp_path: Path) -> None:
    run(make(tiny_dataset, tiny_model, "qlora"), settings, tmp_path / "qlora")
    run(make(tiny_dataset, tiny_model, "full"), settings, tmp_path / "full")
    four_bit = extract(tmp_path / "qlora", settings=settings, workspace=WORKSPACE, observer=Notes())
    assert four_bit.quantised is not None
    stamp = four_bit.base.stat().st_ino
    plain = extract(tmp_path / "full", settings=settings, workspace=WORKSPACE, observer=Notes())
    assert plain.base == four_bit.base and plain.base.stat().st_ino == stamp and plain.quantised is None
    sides = [BlockFeatures.load(path).blocks["block 3"] for path in (four_bit.base, four_bit.quantised, four_bit.tuned)]
    assert not np.array_equal(sides[0], sides[1]) and not np.array_equal(sides[1], sides[2])


@pytest.mark.parametrize("method", ["lora", "partial"])
def test_features_are_recorded_while_training_without_changing_it(method: str, settings: Settings, tiny_model: Path,
                                                                  tiny_dataset: Dataset, tmp_path: Path) -> None:
    plan = FreezePlan(frozen=("embeddings", "block 0", "block 1")) if method == "partial" else FreezePlan()
    recipe = make(tiny_dataset, tiny_model, method, freeze=plan, dropout=0.1)
    run(recipe, settings, tmp_path / "plain")
    run(recipe.replace(track_features=20), settings, tmp_path / "tracked")
    taken = [BlockFeatures.load(path) for path in steps_of(tmp_path / "tracked")]
    assert [features.step for features in taken] == list(recorded_steps(7))
    assert taken[0].names[-1] == "block 3" and len(taken[0].row_ids) == 20
    assert not np.array_equal(taken[0].blocks["block 3"], taken[-1].blocks["block 3"])
    if method == "partial":
        assert taken[0].names == ("block 2", "block 3")  # cached blocks are frozen: the base's features are theirs
    first, second = ((tmp_path / name / "predictions-test.parquet").read_bytes() for name in ("plain", "tracked"))
    assert first == second


def test_the_sample_is_stratified_fixed_and_holds_at_most_a_quarter_of_shift_rows() -> None:
    labels = np.arange(400) % 4
    splits = np.array(["train"] * 200 + ["validation"] * 50 + ["test"] * 50 + ["shift"] * 100)
    sample = probe_sample(labels, splits, rows=80)
    assert np.array_equal(sample, probe_sample(labels, splits, rows=80))
    chosen = splits[sample]
    assert {name: int((chosen == name).sum()) for name in ("train", "validation", "test", "shift")} == {
        "train": 0, "validation": 10, "test": 50, "shift": 20}
    assert np.bincount(labels[sample]).min() >= 18


def test_shift_rows_are_in_the_sample_of_a_dataset_that_has_them(settings: Settings, tiny_model: Path,
                                                                 tmp_path: Path) -> None:
    dataset = write_dataset(settings, n_rows=90, shift_rows=12)
    run(make(dataset, tiny_model, "probe"), settings, tmp_path / "run")
    found = extract(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes())
    assert (BlockFeatures.load(found.base).row_ids >= 90).sum() == 12


def test_rows_of_a_second_dataset_stand_beside_and_are_extracted_once(settings: Settings, tiny_model: Path,
                                                                      tiny_dataset: Dataset,
                                                                      tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    other = write_dataset(settings, n_rows=30, shift_rows=6)
    run(make(tiny_dataset, tiny_model, "partial", freeze=FreezePlan(frozen=("embeddings", "block 0", "block 1"))),
        settings, tmp_path / "run")
    found = measure(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes(), second=other.id)
    assert found.row_ids[found.of_second].tolist() == list(range(30)), "every split, but not its shift set"
    assert (~found.of_second).sum() == 36
    same = [np.array_equal(x, y) for x, y in zip(found.features.base, found.features.tuned, strict=True)]
    assert same == [True, True, True, False, False], "frozen blocks are exact on the second dataset, too"
    monkeypatch.setattr(pooled, "every_block", lambda *a, **k: pytest.fail("extracted twice"))
    again = measure(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes(), second=other.id)
    assert again.key == found.key


def test_the_base_models_rows_of_a_second_dataset_are_shared_by_runs(settings: Settings, tiny_model: Path,
                                                                     tiny_dataset: Dataset, tmp_path: Path) -> None:
    other = write_dataset(settings, n_rows=30)
    for method in ("qlora", "full"):
        run(make(tiny_dataset, tiny_model, method), settings, tmp_path / method)
        extract(tmp_path / method, settings=settings, workspace=WORKSPACE, observer=Notes(), second=other.id)
    sides = {which: aligned.load(Side.of(tmp_path / "qlora", which), settings=settings, second=other.id)
             for which in (Which.BASE, Which.FOUR_BIT, Which.FINAL)}
    plain = aligned.load(Side.of(tmp_path / "full", Which.BASE), settings=settings, second=other.id)
    assert np.array_equal(plain.blocks["block 3"], sides[Which.BASE].blocks["block 3"])
    assert len({side.blocks["block 3"].tobytes() for side in sides.values()}) == 3
    kept = [path for path in (settings.cache / "block_features").iterdir() if path.is_dir()]
    assert len(kept) == 4, "base and 4-bit base, each for two datasets"
    assert second_of(tmp_path / "full", other.id).is_file()


def test_a_second_dataset_gives_at_most_500_rows_drawn_without_a_look_at_labels() -> None:
    splits = np.array(["train", "test"] * 1000 + ["shift"] * 2000)
    chosen = second_sample(splits)
    assert len(np.unique(chosen)) == SECOND_ROWS and chosen.max() < 2000 and np.array_equal(chosen, np.sort(chosen))
    assert 200 < (chosen % 2).sum() < 300, "train and test rows alike"
    assert np.array_equal(chosen, second_sample(splits)) and len(second_sample(splits[:40])) == 40


def test_recorded_steps_are_log_spaced() -> None:
    assert recorded_steps(100) == (0, 1, 2, 5, 10, 22, 46, 100)
    assert recorded_steps(3) == (0, 1, 2, 3)
    assert recorded_steps(0) == (0,)


def test_a_run_without_artifact_is_refused(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                           tmp_path: Path) -> None:
    run(make(tiny_dataset, tiny_model, "probe"), settings, tmp_path / "run")
    (tmp_path / "run" / "artifact" / "labels.json").unlink()
    with pytest.raises(NotFoundError, match="no artifact"):
        extract(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes())
