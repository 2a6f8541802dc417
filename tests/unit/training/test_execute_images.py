"""Whole runs on pictures: the promises that hold for texts hold for CNNs and picture transformers too."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from core.analysis import contact_sheet, feature_comparison
from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe, batches_an_epoch
from core.domain.run import Result
from core.domain.side import Side, Which
from core.errors import DataError, RecipeError
from core.models import facts as facts_module
from core.models import load
from core.models.inspect import inspect_model
from core.planning.estimate import estimate
from core.planning.knobs import problems
from core.settings import Settings
from core.training import artifact, device
from core.training.execute import execute
from core.training.extract import measure
from tests import tiny, turns
from tests.conftest import WORKSPACE, Notes, write_picture_dataset

LOWER = {"vit": FreezePlan(frozen=("embeddings", "block 0", "block 1")),
         "efficientnet": FreezePlan(frozen=("embeddings", "block 0", "block 1", "block 2")),
         "resnet": FreezePlan(frozen=("embeddings", "block 0", "block 1")),
         "swin": FreezePlan(frozen=("embeddings", "block 0"))}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: tiny.PICTURE_FAMILIES[name](tmp_path_factory.mktemp("pictures") / name) for name in LOWER}


@pytest.fixture(scope="session")
def device_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The device, measured once for all tests."""
    home = tmp_path_factory.mktemp("device")
    device.measure(Settings(home=home, hub=False))
    return home / "device.json"


@pytest.fixture(autouse=True)
def measured(settings: Settings, device_file: Path) -> None:
    settings.home.mkdir(parents=True)
    shutil.copy(device_file, settings.home)


@pytest.fixture
def shapes(settings: Settings) -> Dataset:
    """60 pictures of three shapes, split 36/12/12."""
    return write_picture_dataset(settings, n_rows=60)


def make(dataset: Dataset, model: Path, method: str, **fields: Any) -> Recipe:
    values: dict[str, Any] = {"task": Task.IMAGE_CLASSIFICATION, "epochs": 2.0, "batch_size": 8, "learning_rate": 1e-3,
                              "max_length": 0, "evaluations_per_epoch": 2, "precision": "fp32",
                              "lora": LoraSpec(rank=4)}
    if method == "partial":
        values["freeze"] = LOWER[model.name]
    return Recipe(dataset=dataset.id, base_model=str(model), method=method, **(values | fields))


def run(recipe: Recipe, settings: Settings, folder: Path, notes: Notes | None = None, resume: bool = False) -> Result:
    return execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes or Notes(),
                   resume=resume)


def predictions(folder: Path, split: str = "test") -> dict[str, np.ndarray]:
    table = pq.read_table(folder / f"predictions-{split}.parquet")
    return {"row_id": table["row_id"].to_numpy(), "label": table["label"].to_numpy(),
            "prediction": table["prediction"].to_numpy(), "probabilities": np.stack(table["probabilities"].to_pylist())}


def paths_of(settings: Settings, dataset: Dataset, row_ids: np.ndarray) -> list[str]:
    folder = settings.workspace(WORKSPACE) / "datasets" / dataset.id
    return [str(folder / "images" / f"{row}.png") for row in row_ids]


@pytest.mark.parametrize(("family", "method", "precision"), turns.part([
    *[("efficientnet", method, "fp32") for method in ("probe", "partial", "full", "lp_ft", "gradual_unfreezing", "lora",
                                                       "scratch")],
    *[("vit", method, "fp32") for method in ("full", "lora", "qlora")], ("resnet", "lora", "fp32"),
    ("swin", "partial", "fp32"), ("vit", "probe", "bf16"), ("vit", "qlora", "bf16"), ("efficientnet", "lora", "bf16"),
    ("resnet", "full", "bf16")], every=2))
def test_a_run_reloads_to_its_own_predictions(family: str, method: str, precision: str, settings: Settings,
                                              models: dict[str, Path], shapes: Dataset, tmp_path: Path) -> None:
    notes = Notes()
    result = run(make(shapes, models[family], method, precision=precision), settings, tmp_path / "run", notes)
    recorded = predictions(tmp_path / "run")
    assert len(recorded["label"]) == shapes.rows("test") == 12
    assert (result.metrics["test"]["accuracy"].value
            == pytest.approx((recorded["label"] == recorded["prediction"]).mean()))
    tuned = artifact.load(Side.of(tmp_path / "run"), settings=settings)
    again = np.stack([list(row["probabilities"].values())
                      for row in tuned.predict(paths_of(settings, shapes, recorded["row_id"]))])
    np.testing.assert_allclose(again, recorded["probabilities"], atol=2e-5 if precision == "fp32" else 1e-3)
    if method not in ("probe", "scratch"):
        base = artifact.load(Side.of(tmp_path / "run", Which.BASE), settings=settings)
        paths = paths_of(settings, shapes, recorded["row_id"])
        assert not np.allclose(base.outputs(paths)["logits"], tuned.outputs(paths)["logits"], atol=1e-4)
        published = load.load_body(models[family]).state_dict()
        for name, tensor in base.network.body.state_dict().items():
            assert torch.equal(tensor, published[name]), f"the base side's {name} is not the published tensor"


@pytest.mark.parametrize(("family", "precision"), [("efficientnet", "fp32"), ("resnet", "fp32"), ("resnet", "bf16")])
def test_frozen_blocks_keep_weights_and_statistics_byte_for_byte(family: str, precision: str, settings: Settings,
                                                                 models: dict[str, Path],
                                                                 shapes: Dataset, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """A block frozen between trained ones, so that its input changes: its BatchNorm must still not move."""
    from core.models import blocks
    from core.training import execute as module

    nets: list[Any] = []
    real = module._fit
    monkeypatch.setattr(module, "_fit", lambda session, inputs: (nets.append(inputs.network), real(session, inputs))[1])
    plan = FreezePlan(frozen=("embeddings", "block 1"))
    recipe = make(shapes, models[family], "partial", freeze=plan, learning_rate=1e-2, batch_norm="batch",
                  precision=precision)
    run(recipe, settings, tmp_path / "run")
    published = load_file(models[family] / "model.safetensors")
    tuned = artifact.load(Side.of(tmp_path / "run"), settings=settings).network
    stack = blocks.find_stack(tuned.body)
    for body in (nets[0].body, tuned.body):
        state = body.state_dict()
        owner = blocks.block_of(list(state), stack)
        frozen = [name for name in state if plan.is_frozen(owner[name])]
        assert any(name.endswith("running_mean") for name in frozen)
        assert all(torch.equal(state[name], published[name]) for name in frozen)
        for kind in ("running_mean", "running_var", "weight"):
            moved = {owner[n] for n in state if n.endswith(kind) and not torch.equal(state[n], published[n])}
            assert (moved == {f"block {i}" for i in range(stack.size)}
                    - {"block 1"}), f"{kind} of trained blocks must move and be saved"
    saved = load_file(tmp_path / "run" / "artifact" / "weights.safetensors")
    assert not {owner[name] for name in saved} & set(plan.frozen)


def test_stored_statistics_stay_while_scale_and_shift_train(settings: Settings, models: dict[str, Path],
                                                            shapes: Dataset, tmp_path: Path) -> None:
    """The default: training starts from, and stays on, the statistics that the probe's head was solved with."""
    notes, probe = Notes(), Notes()
    run(make(shapes, models["efficientnet"], "full"), settings, tmp_path / "full", notes)
    saved = load_file(tmp_path / "full" / "artifact" / "weights.safetensors")
    assert any(name.endswith("bn1.weight") for name in saved) and not any("running_" in name for name in saved)
    run(make(shapes, models["efficientnet"], "probe"), settings, tmp_path / "probe", probe)
    assert (notes.steps[0]["loss"] < 1.0
            + probe.evaluations[0]["loss"]), "the first step's loss is that of the solved probe's network"
    run(make(shapes, models["efficientnet"], "scratch"), settings, tmp_path / "scratch")
    assert any("running_" in name for name in load_file(tmp_path / "scratch" / "artifact" / "weights.safetensors"))


def test_adapters_leave_batch_norm_alone(settings: Settings, models: dict[str, Path], shapes: Dataset, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    from core.training import execute as module

    nets: list[Any] = []
    real = module._fit
    monkeypatch.setattr(module, "_fit", lambda session, inputs: (nets.append(inputs.network), real(session, inputs))[1])
    run(make(shapes, models["efficientnet"], "lora", lora=LoraSpec(rank=4, dropout=0.1)), settings, tmp_path / "run")
    published = load_file(models["efficientnet"] / "model.safetensors")
    plain = {name.removeprefix("base_model.model.").replace(".base_layer", ""): value
             for name, value in nets[0].body.state_dict().items()
             if "lora_" not in name}
    assert set(published) <= set(plain)
    assert all(torch.equal(plain[name], value) for name, value in published.items())


@pytest.mark.parametrize(("family", "method", "precision"), [
    ("efficientnet", "partial", "fp32"), ("efficientnet", "lora", "fp32"), ("vit", "partial", "fp32"),
    ("vit", "qlora", "fp32"), ("resnet", "partial", "fp32"), ("efficientnet", "partial", "bf16"),
    ("vit", "qlora", "bf16")])
def test_the_prefix_cache_changes_nothing(family: str, method: str, precision: str, settings: Settings,
                                          models: dict[str, Path], shapes: Dataset, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    from core.training import execute as module

    recipe = make(shapes, models[family], method, freeze=LOWER[family], precision=precision)
    notes, uncached_notes = Notes(), Notes()
    cached = run(recipe, settings, tmp_path / "cached", notes)
    assert any("run once and cached" in note for note in notes.notes)
    monkeypatch.setattr(module.prefix, "cache", lambda session, inputs: None)
    uncached = run(recipe, settings, tmp_path / "uncached", uncached_notes)
    np.testing.assert_allclose(predictions(tmp_path / "cached")["probabilities"],
                               predictions(tmp_path / "uncached")["probabilities"],
                               atol=1e-4 if precision == "fp32" else 1e-2)
    np.testing.assert_allclose([e["loss"] for e in notes.evaluations], [e["loss"] for e in uncached_notes.evaluations],
                               rtol=1e-3 if precision == "fp32" else 1e-2)
    for name in ("steps", "trainable_params", "total_params"):
        assert getattr(cached, name) == getattr(uncached, name)


def test_what_cannot_be_cached_says_why(settings: Settings, models: dict[str, Path], shapes: Dataset,
                                        tmp_path: Path) -> None:
    augmented, swin, small = Notes(), Notes(), Notes()
    run(make(shapes, models["efficientnet"], "partial", augmentation="light", epochs=1.0), settings, tmp_path / "a",
        augmented)
    assert any("not cached, because augmentation changes every picture" in note for note in augmented.notes)
    run(make(shapes, models["swin"], "partial", epochs=1.0), settings, tmp_path / "b", swin)
    assert any("hand on more than one tensor" in note for note in swin.notes)
    import dataclasses

    tight = dataclasses.replace(settings, cache_gb=1e-4)
    run(make(shapes, models["efficientnet"], "partial", epochs=1.0), tight, tmp_path / "c", small)
    assert any("THAW_CACHE_GB" in note for note in small.notes)
    assert not list((settings.cache / "prefix").glob("*/done.npy"))


class _Killed(BaseException):
    """Stands for the end of a worker: nothing in the engine catches it."""


class _KilledAt(Notes):
    kill_at = 0.0

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        super().progress(done, total, unit, note)
        if unit == "steps" and done == self.kill_at:
            raise _Killed


@pytest.mark.parametrize(("family", "method", "kill_at", "fields"), [
    ("efficientnet", "full", 7, {"augmentation": "strong", "dropout": 0.1, "batch_norm": "batch"}),
    ("efficientnet", "lp_ft", 4, {"epochs": 6.0, "early_stopping_patience": 0}),
    ("efficientnet", "gradual_unfreezing", 4, {"epochs": 6.0, "early_stopping_patience": 0, "batch_norm": "batch",
                                               "dropout": 0.1, "evaluations_per_epoch": 3}),
    ("efficientnet", "partial", 8, {}), ("vit", "lora", 8, {"augmentation": "light"}),
    ("efficientnet", "full", 7, {"batch_norm": "batch", "precision": "bf16"}),
    ("vit", "qlora", 8, {"precision": "bf16"})])
def test_a_resumed_run_equals_an_uninterrupted_one_exactly(family: str, method: str, kill_at: int,
                                                           fields: dict[str, Any],
                                                           settings: Settings, models: dict[str, Path], shapes: Dataset,
                                                           tmp_path: Path) -> None:
    recipe = make(shapes, models[family], method, **fields)
    whole = run(recipe, settings, tmp_path / "whole")
    notes = _KilledAt()
    notes.kill_at = kill_at
    with pytest.raises(_Killed):
        run(recipe, settings, tmp_path / "cut", notes)
    resumed = run(recipe, settings, tmp_path / "cut", resume=True)
    assert (resumed.steps, resumed.best_step, resumed.metrics) == (whole.steps, whole.best_step, whole.metrics)
    np.testing.assert_array_equal(predictions(tmp_path / "cut")["probabilities"],
                                  predictions(tmp_path / "whole")["probabilities"])


def test_augmentation_is_for_training_rows_only(settings: Settings, models: dict[str, Path], shapes: Dataset,
                                                tmp_path: Path) -> None:
    """The first validation, before any step, is the same with and without."""
    plain, bent = Notes(), Notes()
    run(make(shapes, models["vit"], "full", epochs=1.0), settings, tmp_path / "plain", plain)
    run(make(shapes, models["vit"], "full", epochs=1.0, augmentation="strong"), settings, tmp_path / "bent", bent)
    assert plain.evaluations[0]["loss"] == bent.evaluations[0]["loss"]
    assert plain.steps[-1]["loss"] != bent.steps[-1]["loss"]


def test_pictures_are_decoded_once(settings: Settings, models: dict[str, Path], shapes: Dataset, tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    from core.tasks import pictures as module

    opened: list[str] = []
    real = module.open_rgb
    monkeypatch.setattr(module, "open_rgb", lambda path, **how: (opened.append(path), real(path, **how))[1])
    run(make(shapes, models["vit"], "full", epochs=3.0), settings, tmp_path / "a")
    run(make(shapes, models["vit"], "probe", seed=1), settings, tmp_path / "b")
    assert sorted(opened) == sorted(paths_of(settings, shapes, np.arange(60)))
    monkeypatch.setattr(module, "STORE_LIMIT_BYTES", 0)
    run(make(shapes, models["vit"], "probe", seed=2), settings, tmp_path / "c")
    np.testing.assert_array_equal(predictions(tmp_path / "c")["probabilities"],
                                  predictions(tmp_path / "b")["probabilities"])


def test_a_damaged_picture_is_named(settings: Settings, models: dict[str, Path], shapes: Dataset,
                                    tmp_path: Path) -> None:
    Path(paths_of(settings, shapes, np.array([7]))[0]).write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"7\.png cannot be read"):
        run(make(shapes, models["vit"], "probe"), settings, tmp_path / "run")


def test_qlora_refuses_a_cnn_and_stores_a_vit_in_four_bits(settings: Settings, models: dict[str, Path], shapes: Dataset,
                                                           tmp_path: Path) -> None:
    import bitsandbytes as bnb

    with pytest.raises(RecipeError, match="does not apply") as caught:
        run(make(shapes, models["resnet"], "qlora"), settings, tmp_path / "cnn")
    assert "no linear layers worth quantising" in caught.value.why
    run(make(shapes, models["vit"], "qlora", epochs=1.0), settings, tmp_path / "vit")
    network = artifact.load(Side.of(tmp_path / "vit"), settings=settings).network
    assert sum(isinstance(module, bnb.nn.Linear4bit) for module in network.modules()) == 3 * 6


def test_lp_ft_leaves_the_body_alone_at_first(settings: Settings, models: dict[str, Path], shapes: Dataset,
                                              tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.training import trainer

    drift: list[float] = []
    published = load_file(models["efficientnet"] / "model.safetensors")
    real = trainer.ThawTrainer.compute_loss

    def spy(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        drift.append(max(float((tensor - published[name]).abs().max())
                         for name, tensor in self.inputs.network.body.state_dict().items()
                         if tensor.is_floating_point()))
        return real(self, model, *args, **kwargs)

    monkeypatch.setattr(trainer.ThawTrainer, "compute_loss", spy)
    notes = Notes()
    recipe = make(shapes, models["efficientnet"], "lp_ft", epochs=6.0, head_init="random", early_stopping_patience=0)
    result = run(recipe, settings, tmp_path / "run", notes)
    settle = trainer.head_first_steps(0.1, result.steps)
    assert result.steps == 30 and settle == 3
    assert drift[:settle + 1] == [0.0] * (settle + 1) and drift[-1] > 1e-4
    probe = Notes()
    run(make(shapes, models["efficientnet"], "probe"), settings, tmp_path / "probe", probe)
    assert (notes.evaluations[0]["loss"]
            == pytest.approx(probe.evaluations[0]["loss"], abs=1e-4)), "it starts from the solved head"


def test_features_of_every_block_are_pooled_to_one_vector_a_row(settings: Settings, models: dict[str, Path],
                                                                shapes: Dataset, tmp_path: Path) -> None:
    from core.features.pooled import every_block

    for family in ("efficientnet", "vit", "swin"):
        run(make(shapes, models[family], "probe"), settings, tmp_path / family)
        side = artifact.load(Side.of(tmp_path / family), settings=settings)
        encoded = side_encoded(side, settings, shapes)
        found = every_block(side.network, encoded, np.arange(5), precision="fp32")
        assert list(found) == list(side.network.stack.names)
        assert all(values.shape[0] == 5 and values.ndim == 2 and np.isfinite(values).all() for values in found.values())
        assert found[side.network.stack.names[-1]].shape[1] == side.network.head.in_features


def side_encoded(side: artifact.LoadedModel, settings: Settings, dataset: Dataset) -> Any:
    from core.models import facts
    from core.training.session import read_rows

    found = facts.read(side.recipe.base_model, settings)
    assert found is not None
    return side.task.encode(read_rows(dataset, settings=settings, workspace=WORKSPACE), recipe=side.recipe, facts=found,
                            cache=settings.cache)


def test_pictures_of_a_second_dataset_stand_beside(settings: Settings, shapes: Dataset, models: dict[str, Path],
                                                   tmp_path: Path) -> None:
    other = write_picture_dataset(settings, n_rows=30)
    recipe = make(shapes, models["vit"], "partial", freeze=LOWER["vit"])
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    measured = measure(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes(), second=other.id)
    assert measured.of_second.sum() == 30 and (~measured.of_second).sum() == 24
    opened = feature_comparison.compare(Side.of(tmp_path / "run", Which.BASE), Side.of(tmp_path / "run"),
                                        names=("base", "partial"), dataset=shapes, settings=settings,
                                        workspace=WORKSPACE, rows=2000, second=other.id)
    assert opened.pictures and opened.key == measured.key
    for path, row, far in zip(opened.contents, opened.row_ids, opened.aligned.of_second, strict=True):
        assert path.endswith(f"{(other if far else shapes).id}/images/{row}.png")
    sheet = contact_sheet.make(opened.contents, cache=settings.cache)
    assert sheet is not None and sheet.columns == 7, "54 pictures of both on one sheet"


@pytest.mark.parametrize(("batch_size", "budget"), [(5, None), (7, None), (35, None), (4, 9), (4, 5), (2, 3)])
def test_no_batch_has_one_row_for_batch_norm_to_fail_on(batch_size: int, budget: int | None, settings: Settings,
                                                        models: dict[str, Path],
                                                        shapes: Dataset, tmp_path: Path) -> None:
    """A ResNet ends in one place a picture, so that the statistics of a single picture would be over one value. 36 rows
    train."""
    recipe = make(shapes, models["resnet"], "scratch", batch_size=batch_size, label_budget=budget, epochs=1.0)
    result = run(recipe, settings, tmp_path / "run")
    assert result.samples == 36 or budget is not None
    steps = batches_an_epoch(result.samples, batch_size)
    assert result.steps == steps and (steps == (36 - 1) // batch_size or budget is not None)
    facts = facts_module.read(recipe.base_model, settings)
    assert facts is not None
    rows = {split: shapes.rows(split) for split in shapes.counts}
    assert estimate(recipe, facts=facts, device=None, n_classes=3, rows=rows, mean_length=0).steps == steps


def test_batches_of_one_are_refused_where_batch_norm_follows_them(settings: Settings, models: dict[str, Path],
                                                                  shapes: Dataset, tmp_path: Path) -> None:
    facts = inspect_model(str(models["resnet"]), settings=settings)
    for method, batch_norm, refused in (("scratch", "stored", True), ("full", "batch", True), ("full", "stored", False),
                                        ("lora", "batch", False)):
        recipe = make(shapes, models["resnet"], method, batch_size=1, batch_norm=batch_norm)
        assert any("at least two rows" in text for text in problems(recipe, facts)) is refused
    alone = make(write_picture_dataset(settings, n_rows=1), models["resnet"], "full", batch_norm="batch")
    with pytest.raises(DataError, match="One training row is too few"):
        run(alone, settings, tmp_path / "run")
