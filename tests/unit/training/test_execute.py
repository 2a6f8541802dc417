"""Whole runs of a tiny real model: what trains, what stays, what is saved, and that it can be stopped, resumed and
reloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from core import values
from core.analysis import predictions as stored_predictions
from core.domain.dataset import Dataset
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe
from core.domain.run import Phase, Result
from core.domain.side import Side, Which
from core.errors import NonFiniteLossError, NotFoundError, RecipeError
from core.metrics import OF_CLASSES, measure
from core.models import methods
from core.models.blocks import members
from core.settings import Settings
from core.tasks import classification
from core.training import artifact, evaluate, trainer
from core.training import execute as execute_module
from core.training.execute import execute
from core.training.session import Session, prepare, read_rows
from tests import turns
from tests.conftest import WORKSPACE, Notes

METHODS = tuple(name for name in methods.REGISTRY if not methods.card_of(name).own_head_only)
PRECISIONS = ("fp32", "bf16")
EVERYDAY = [method for method in METHODS if methods.card_of(method).everyday]
TRIED = [*turns.paired(EVERYDAY, PRECISIONS), *((method, "fp32") for method in METHODS if method not in EVERYDAY)]
"""Every method of classifiers; in both precisions those that are trained every day."""
"""A CPU computes in both, if only slowly, so every promise is held in both whatever the processor."""
CLOSE = {"fp32": 2e-5, "bf16": 1e-3}
"""Probabilities of the same network on the same rows, which may lie in other batches."""
LOWER = FreezePlan(frozen=("embeddings", "block 0", "block 1"))


def make(dataset: Dataset, model: Path, method: str, **fields: Any) -> Recipe:
    values: dict[str, Any] = {"epochs": 2.0, "batch_size": 8, "learning_rate": 1e-3, "max_length": 32,
                              "evaluations_per_epoch": 2, "precision": "fp32", "lora": LoraSpec(rank=4)}
    if method == "partial":
        values["freeze"] = LOWER
    return Recipe(dataset=dataset.id, base_model=str(model), method=method, **(values | fields))


def run(recipe: Recipe, settings: Settings, folder: Path, notes: Notes | None = None, resume: bool = False) -> Result:
    return execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes or Notes(),
                   resume=resume)


def predictions(folder: Path, split: str = "test") -> dict[str, np.ndarray]:
    table = pq.read_table(folder / f"predictions-{split}.parquet")
    return {"row_id": table["row_id"].to_numpy(), "label": table["label"].to_numpy(),
            "prediction": table["prediction"].to_numpy(), "probabilities": np.stack(table["probabilities"].to_pylist())}


def texts_of(settings: Settings, dataset: Dataset, row_ids: np.ndarray) -> list[str]:
    table = pq.read_table(settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet")
    by_id = dict(zip(table["row_id"].to_pylist(), table["text"].to_pylist(), strict=True))
    return [by_id[int(row)] for row in row_ids]


@pytest.mark.parametrize(("method", "precision"), TRIED)
def test_a_run_leaves_everything_and_reloads_to_its_own_predictions(method: str, precision: str, settings: Settings,
                                                                    tiny_model: Path,
                                                                    tiny_dataset: Dataset, tmp_path: Path) -> None:
    notes, folder = Notes(), tmp_path / "run"
    result = run(make(tiny_dataset, tiny_model, method, precision=precision), settings, folder, notes)

    assert values.read(folder / "result.json", Result) == result
    assert Recipe.from_json(json.loads((folder / "recipe.json").read_text())).method == method
    assert notes.phases[0] == Phase.FETCHING and notes.phases[-1] == Phase.SAVING
    recorded = predictions(folder)
    assert len(recorded["label"]) == tiny_dataset.rows("test") == 18
    measured = result.metrics["test"]["accuracy"]
    assert measured.value == pytest.approx((recorded["label"] == recorded["prediction"]).mean())
    assert measured.low <= measured.value <= measured.high
    assert list(result.metrics) == ["test", "validation"]
    for split, scores in result.metrics.items():  # every metric, as its own predictions on disk give it
        stored = stored_predictions.read(folder, split)
        assert stored is not None and list(scores) == [metric.name for metric in OF_CLASSES]
        assert scores == measure(stored.judged)

    tuned = artifact.load(Side.of(folder), settings=settings)
    for split in ("test", "validation"):
        recorded = predictions(folder, split)
        texts = texts_of(settings, tiny_dataset, recorded["row_id"])
        again = np.stack([list(row["probabilities"].values()) for row in tuned.predict(texts)])
        np.testing.assert_allclose(again, recorded["probabilities"], atol=CLOSE[precision])


def test_a_shift_set_that_was_made_is_called_so_in_the_result(settings: Settings, tiny_model: Path,
                                                             tiny_dataset: Dataset, tmp_path: Path) -> None:
    from core.data import made_shift
    from core.export import card

    made = made_shift.make(tiny_dataset, kind="typos", severity=5, settings=settings, workspace=WORKSPACE).dataset
    result = run(make(made, tiny_model, "probe"), settings, tmp_path / "run")
    assert result.shift_made == "made: typos, severity 5"
    test, shift = (predictions(tmp_path / "run", split) for split in ("test", "shift"))
    offset = int(shift["row_id"][0] - test["row_id"][0])  # row by row comparable
    assert np.array_equal(shift["row_id"], test["row_id"] + offset) and np.array_equal(shift["label"], test["label"])
    assert "The shift set is made: typos, severity 5: its test rows, changed." in card._results(result)


@pytest.mark.parametrize(("method", "precision"), turns.paired(
    ["probe", "partial", "full", "lora", "lp_ft", "gradual_unfreezing"], PRECISIONS))
def test_the_first_evaluation_is_that_of_the_base_side(method: str, precision: str, settings: Settings,
                                                       tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    """It is read from cached features; the base side, loaded from disk, must score the same."""
    notes = Notes()
    run(make(tiny_dataset, tiny_model, method, precision=precision, epochs=0.5), settings, tmp_path / "run", notes)
    recorded = predictions(tmp_path / "run", "validation")
    base = artifact.load(Side.of(tmp_path / "run", Which.BASE), settings=settings)
    kept = base.outputs(texts_of(settings, tiny_dataset, recorded["row_id"]))
    rows = read_rows(tiny_dataset, settings=settings, workspace=WORKSPACE)
    found = evaluate.scores(base.task, kept, rows, recorded["row_id"])  # a row's id is its place here
    assert notes.evaluations[0]["step"] == 0
    assert {name: notes.evaluations[0][name] for name in found} == pytest.approx(found, abs=CLOSE[precision])


@pytest.mark.parametrize("method", ["partial", "full", "lora", "qlora"])
def test_base_and_tuned_are_what_they_say(method: str, settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                          tmp_path: Path) -> None:
    run(make(tiny_dataset, tiny_model, method), settings, tmp_path / "run")
    base, tuned = (artifact.load(Side.of(tmp_path / "run", side), settings=settings)
                   for side in (Which.BASE, Which.FINAL))
    texts = ["the team goal", "bank market share price"]
    assert not np.allclose(base.outputs(texts)["logits"], tuned.outputs(texts)["logits"], atol=1e-4)
    published = load_file(tiny_model / "model.safetensors")
    for name, parameter in base.network.body.named_parameters():
        assert torch.equal(parameter, published[name]), f"the base side's {name} is not the published tensor"


@pytest.mark.parametrize(("method", "precision"), turns.paired(
    ["probe", "partial", "lora", "dora", "qlora"], PRECISIONS))
def test_what_is_frozen_is_the_same_to_the_byte_after_training(method: str, precision: str, settings: Settings,
                                                               tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """In the very network that was trained and scored, against how it was loaded."""
    before: dict[str, torch.Tensor] = {}
    after: dict[str, torch.Tensor] = {}
    build, save = Session.build, artifact.save

    def loaded(self: Session, *args: Any, reads_only: bool = False) -> Any:
        network = build(self, *args, reads_only=reads_only)
        if reads_only:  # not the network that trains
            return network
        before.update({name: tensor.clone() for name, tensor in network.body.state_dict().items()})
        return network

    def saved(folder: Path, **kwargs: Any) -> int:
        trains = {name for name, p in kwargs["network"].named_parameters() if p.requires_grad}
        after.update(
            {name.removeprefix("body.").removeprefix("base_model.model.").replace(".base_layer", ""): tensor.clone()
             for name, tensor in kwargs["network"].state_dict().items() if name.startswith("body.") and name
                       not in trains})
        return save(folder, **kwargs)

    monkeypatch.setattr(Session, "build", loaded)
    monkeypatch.setattr(artifact, "save", saved)
    # nothing lies below: no prefix is cached, so that all blocks are in the network
    frozen = FreezePlan(frozen=("block 0",))
    run(make(tiny_dataset, tiny_model, method, precision=precision, freeze=frozen), settings, tmp_path / "run")
    stays = [name for name in before if method != "partial" or name.startswith("encoder.layer.0.")]
    assert len(stays) >= 16
    assert ([name for name in stays if after[name].dtype != before[name].dtype
             or not torch.equal(after[name], before[name])] == [])


def test_frozen_blocks_are_byte_identical_after_training(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                         tmp_path: Path) -> None:
    frozen = FreezePlan(frozen=("embeddings", "block 0", "block 2"))
    run(make(tiny_dataset, tiny_model, "partial", freeze=frozen, head_init="random"), settings, tmp_path / "run")
    tuned = artifact.load(Side.of(tmp_path / "run"), settings=settings).network
    published = load_file(tiny_model / "model.safetensors")
    changed = {name: not torch.equal(p, published[name]) for name, p in tuned.body.named_parameters()}
    stays = ("embeddings.", "encoder.layer.0.", "encoder.layer.2.")
    assert not any(moved for name, moved in changed.items() if name.startswith(stays))
    moved_blocks = {name.split(".")[2] for name, moved in changed.items() if moved}
    assert moved_blocks == {"1", "3"}
    saved = load_file(tmp_path / "run" / "artifact" / "weights.safetensors")
    assert not any(name.startswith(stays) for name in saved)


@pytest.mark.parametrize(("method", "precision"), turns.paired(["partial", "qlora", "lora"], PRECISIONS))
def test_the_prefix_cache_changes_nothing(method: str, precision: str, settings: Settings, tiny_model: Path,
                                          tiny_dataset: Dataset, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    from core.training import execute as module

    recipe = make(tiny_dataset, tiny_model, method, freeze=LOWER, precision=precision)
    notes = Notes()
    cached = run(recipe, settings, tmp_path / "cached", notes)
    assert any("run once and cached" in note for note in notes.notes)
    monkeypatch.setattr(module.prefix, "cache", lambda session, inputs: None)
    uncached_notes = Notes()
    uncached = run(recipe, settings, tmp_path / "uncached", uncached_notes)
    np.testing.assert_allclose(predictions(tmp_path / "cached")["probabilities"],
                               predictions(tmp_path / "uncached")["probabilities"],
                               atol=1e-4 if precision == "fp32" else 1e-2)
    np.testing.assert_allclose([e["loss"] for e in notes.evaluations], [e["loss"] for e in uncached_notes.evaluations],
                               rtol=1e-3 if precision == "fp32" else 1e-2)
    assert cached.steps == uncached.steps and (cached.trainable_params,
                                               cached.total_params) == (uncached.trainable_params,
                                                                        uncached.total_params)


def test_a_second_run_reuses_the_cached_prefix(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                               tmp_path: Path) -> None:
    run(make(tiny_dataset, tiny_model, "partial"), settings, tmp_path / "a")
    stores = list((settings.cache / "prefix").glob("*/rows.npy"))
    assert len(stores) == 1 and np.load(stores[0]).all()
    stamp = stores[0].stat().st_mtime_ns
    run(make(tiny_dataset, tiny_model, "partial", seed=1), settings, tmp_path / "b")
    assert [path.stat().st_mtime_ns for path in (settings.cache / "prefix").glob("*/rows.npy")] == [stamp]


def test_cached_and_uncached_probe_losses_agree(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                tmp_path: Path) -> None:
    notes = Notes()
    run(make(tiny_dataset, tiny_model, "probe"), settings, tmp_path / "run", notes)
    recorded = predictions(tmp_path / "run", "validation")
    tuned = artifact.load(Side.of(tmp_path / "run"), settings=settings)
    logits = tuned.outputs(texts_of(settings, tiny_dataset, recorded["row_id"]))["logits"]
    uncached = torch.nn.functional.cross_entropy(torch.from_numpy(logits),
                                                 torch.from_numpy(recorded["label"].astype(np.int64))).item()
    assert notes.evaluations[-1]["loss"] == pytest.approx(uncached, abs=1e-4)


class _Killed(BaseException):
    """Stands for the end of a worker: nothing in the engine catches it."""


class _KilledAt(Notes):
    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        super().progress(done, total, unit, note)
        if unit == "steps" and done == self.kill_at:
            raise _Killed

    kill_at = 0.0


KILLED = (("full", 6), ("lora", 9), ("qlora", 9), ("partial", 8), ("scratch", 5), ("lp_ft", 7), ("wise_ft", 7),
          ("l2_sp", 7))


@pytest.mark.parametrize(("method", "kill_at", "precision"), turns.part(
    [(*killed, precision) for precision in PRECISIONS for killed in KILLED], every=3))
def test_a_resumed_run_equals_an_uninterrupted_one_exactly(method: str, kill_at: int, precision: str,
                                                           settings: Settings,
                                                           tiny_model: Path, tiny_dataset: Dataset,
                                                           tmp_path: Path) -> None:
    recipe = make(tiny_dataset, tiny_model, method, dropout=0.1, precision=precision)
    whole = run(recipe, settings, tmp_path / "whole")
    notes = _KilledAt()
    notes.kill_at = kill_at
    with pytest.raises(_Killed):
        run(recipe, settings, tmp_path / "cut", notes)
    resumed = run(recipe, settings, tmp_path / "cut", resume=True)
    assert resumed.steps == whole.steps and resumed.best_step == whole.best_step
    assert resumed.metrics == whole.metrics
    np.testing.assert_array_equal(predictions(tmp_path / "cut")["probabilities"],
                                  predictions(tmp_path / "whole")["probabilities"])


def test_stop_keeps_the_best_checkpoint_and_still_measures(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                           tmp_path: Path) -> None:
    notes = Notes(stop_at=6)
    result = run(make(tiny_dataset, tiny_model, "full", epochs=50.0), settings, tmp_path / "run", notes)
    assert result.steps == 6 and result.best_step is not None
    kept = next(e for e in notes.evaluations if e["step"] == result.best_step)
    recorded = predictions(tmp_path / "run", "validation")
    assert (recorded["label"] == recorded["prediction"]).mean() == pytest.approx(kept["accuracy"])
    assert list((tmp_path
                 / "run" / "checkpoints").glob("checkpoint-*")), "a stopped run keeps what it needs to be resumed"


def test_the_latest_checkpoint_within_a_standard_error_of_the_best_is_kept(settings: Settings, tiny_model: Path,
                                                                           tiny_dataset: Dataset,
                                                                           tmp_path: Path,
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = iter([0.5, 0.8, 0.9, 0.85, 0.6])  # of 18 rows a standard error is 0.08
    outputs: list[dict[str, np.ndarray]] = []
    real = trainer.ThawTrainer.record

    def record(self: Any, kept: dict[str, np.ndarray]) -> dict[str, float]:
        outputs.append(kept)
        with monkeypatch.context() as scripted:
            scripted.setattr(evaluate, "scores",
                             lambda *_: {"loss": 1.0, "accuracy": next(accuracies), "macro_f1": 0.0})
            return real(self, kept)

    monkeypatch.setattr(trainer.ThawTrainer, "record", record)
    notes = Notes()
    result = run(make(tiny_dataset, tiny_model, "full"), settings, tmp_path / "run", notes)
    assert [e["accuracy"] for e in notes.evaluations] == [0.5, 0.8, 0.9, 0.85, 0.6]
    assert result.best_step == notes.evaluations[3]["step"] < result.steps
    again = artifact.load(Side.of(tmp_path / "run"), settings=settings)
    recorded = predictions(tmp_path / "run", "validation")
    np.testing.assert_allclose(recorded["probabilities"], classification.softmax(outputs[3]["logits"]), atol=1e-6)
    of_disk = again.predict(texts_of(settings, tiny_dataset, recorded["row_id"]))
    np.testing.assert_allclose(np.stack([list(r["probabilities"].values()) for r in of_disk]),
                               recorded["probabilities"], atol=2e-5)


def test_the_standard_error_of_a_share() -> None:
    """sqrt(p (1 - p) / n) with one right and one wrong row added."""
    assert classification.within_standard_error(0.94, 0.955, 200)       # 192 of 202: 0.0153
    assert not classification.within_standard_error(0.935, 0.955, 200)
    assert not classification.within_standard_error(0.995, 1.0, 200)    # 201 of 202: 0.00496
    assert classification.within_standard_error(0.65, 0.7, 20)          # 15 of 22: 0.104
    assert classification.within_standard_error(-0.001, -0.001, 5000)   # nothing right, less the loss that breaks ties


@given(correct=st.integers(0, 60), best=st.integers(0, 60), n_rows=st.integers(60, 500))
def test_the_best_is_always_kept_and_what_is_level_stays_level_when_better(correct: int, best: int,
                                                                           n_rows: int) -> None:
    best = max(best, correct)
    assert classification.within_standard_error(best / n_rows, best / n_rows, n_rows)
    if classification.within_standard_error(correct / n_rows, best / n_rows, n_rows):
        assert classification.within_standard_error((correct + 1) / n_rows, best / n_rows, n_rows)


def test_the_loss_goes_through_the_model_that_the_trainer_hands_over(settings: Settings, tiny_model: Path,
                                                                     tiny_dataset: Dataset, tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be wrapped for several devices or for mixed precision; behind a cached prefix, too."""
    steps: list[int] = []
    real = trainer.ThawTrainer.compute_loss

    def handed(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        def wrapped(**inputs: torch.Tensor) -> Any:
            steps.append(self.state.global_step)
            return model(**inputs)

        return real(self, wrapped, *args, **kwargs)

    monkeypatch.setattr(trainer.ThawTrainer, "compute_loss", handed)
    result = run(make(tiny_dataset, tiny_model, "partial"), settings, tmp_path / "run")
    assert steps == list(range(result.steps))


def test_a_non_finite_loss_stops_the_run_with_a_cause(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                      tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError) as caught:
        run(make(tiny_dataset, tiny_model, "full", learning_rate=1e30, head_learning_rate=1e30),
            settings, tmp_path / "run")
    assert "learning rate" in caught.value.why


def scripted(monkeypatch: pytest.MonkeyPatch, accuracies: list[float]) -> None:
    """Let the validations of the next run score this, one after another, all with the same loss."""
    left = iter(accuracies)
    real = trainer.ThawTrainer.record

    def record(self: Any, kept: dict[str, np.ndarray]) -> dict[str, float]:
        with monkeypatch.context() as inside:
            inside.setattr(evaluate, "scores", lambda *_: {"loss": 1.0, "accuracy": next(left), "macro_f1": 0.0})
            return real(self, kept)

    monkeypatch.setattr(trainer.ThawTrainer, "record", record)


@pytest.mark.parametrize(("accuracies", "patience", "validations"), [
    ([0.5, 0.6, 0.7, 0.65, 0.6, 0.9, 0.9], 2, 4),   # none of the two after 0.7 is better
    ([0.5, 0.6, 0.55, 0.65, 0.6, 0.6, 0.9], 2, 5),  # the better third starts the count anew
    ([0.5, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5], 0, 6),    # no patience asked for: to the end
])
def test_early_stopping_ends_a_run_after_so_many_validations_without_a_better_one(
        accuracies: list[float], patience: int, validations: int, settings: Settings, tiny_model: Path,
        tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, accuracies)
    recipe = make(tiny_dataset, tiny_model, "partial", epochs=6.0, early_stopping_patience=patience,
                  evaluations_per_epoch=1)
    notes = Notes()
    result = run(recipe, settings, tmp_path / "run", notes)
    assert result.steps == 7 * validations  # 54 rows by 8
    # the first one is before training
    assert ([e["accuracy"] for e in notes.evaluations] == accuracies[:validations + 1])


@pytest.mark.parametrize("method", ["probe", "full"])
def test_the_label_budget_counts_every_label_used(method: str, settings: Settings, tiny_model: Path,
                                                  tiny_dataset: Dataset, tmp_path: Path) -> None:
    """All labels outside of the budget are made wrong, and the run is the same: it has seen none of them."""
    recipe = make(tiny_dataset, tiny_model, method, label_budget=9, epochs=1.0)
    result = run(recipe, settings, tmp_path / "run")
    assert result.labels_used == {"train": 9, "validation": 0}
    if method == "full":
        # the ninth row joins the batch of eight
        assert ((result.samples, result.steps, result.best_step) == (9, 1, None))
    session = Session(recipe=recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes(),
                      resume=False)
    prepare(session)
    path = settings.workspace(WORKSPACE) / "datasets" / tiny_dataset.id / "rows.parquet"
    table = pq.read_table(path)
    used = set(session.rows.row_ids[session.train].tolist())
    wrong = [label if row in used or split == "test" else (label + 1) % 3
             for row, label, split in zip(*(table[name].to_pylist() for name in ("row_id", "label", "split")),
                                          strict=True)]
    assert table["label"].to_pylist() != wrong
    before = predictions(tmp_path / "run")["probabilities"]
    with pytest.MonkeyPatch.context() as patch:
        original = execute_module.prepare

        def prepared(session: Session) -> None:
            original(session)
            session.rows.labels[:] = wrong

        patch.setattr(execute_module, "prepare", prepared)
        run(recipe, settings, tmp_path / "again")
    np.testing.assert_array_equal(predictions(tmp_path / "again")["probabilities"], before)


@pytest.mark.parametrize("method", ["probe", "partial"])
def test_shared_passes_are_counted_at_what_they_took_whoever_ran_them(method: str, settings: Settings, tiny_model: Path,
                                                                      tiny_dataset: Dataset, tmp_path: Path) -> None:
    """The second run reads everything from the cache: what it adds is less than it would take alone, by the first one's
    passes."""
    recipe = make(tiny_dataset, tiny_model, method, epochs=1.0)
    first, second = (run(recipe, settings, tmp_path / str(number)) for number in range(2))
    for result in (first, second):
        assert result.marginal_seconds is not None and result.shared_seconds is not None
        assert result.seconds == pytest.approx(result.marginal_seconds + result.shared_seconds)
        assert result.seconds - result.shared_seconds <= sum(result.phase_seconds.values()) + 1
    assert second.shared_seconds == pytest.approx(first.shared_seconds) and first.shared_seconds > 0
    old = json.loads((tmp_path / "0" / "result.json").read_text())
    for name in ("marginal_seconds", "shared_seconds", "labels_used"):
        del old[name]
    (tmp_path / "0" / "result.json").write_text(json.dumps(old))
    assert values.read(tmp_path / "0" / "result.json", Result).marginal_seconds is None


def test_downloads_are_no_part_of_the_seconds(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                              tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        original = execute_module.prepare

        def slow(session: Session) -> None:
            original(session)
            session.started -= 1000
            session.phase_seconds[str(Phase.FETCHING)] += 1000

        patch.setattr(execute_module, "prepare", slow)
        assert run(make(tiny_dataset, tiny_model, "probe"), settings, tmp_path / "run").seconds < 900


def test_a_larger_budget_validates_with_a_share_of_it(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                      tmp_path: Path) -> None:
    notes = Notes()
    there = tiny_dataset.rows("train") + tiny_dataset.rows("validation")
    recipe = make(tiny_dataset, tiny_model, "lora", label_budget=there - 1, epochs=1.0)
    result = run(recipe, settings, tmp_path / "run", notes)
    assert sum(result.labels_used.values()) <= there - 1
    old = Recipe.from_json({name: value for name, value in recipe.replace(label_budget=9).to_json().items() if name
                            != "budget_counts"})
    # rows beyond the budget, too
    replayed = make(tiny_dataset, tiny_model, "partial", label_budget=9, epochs=1.0, track_features=60)
    assert run(replayed, settings, tmp_path / "replayed").labels_used == {"train": 9, "validation": 0}
    assert (run(old, settings, tmp_path / "old").labels_used
            == {"train": 9, "validation": tiny_dataset.rows("validation")})


def test_training_beats_chance_and_scratch_has_no_base_side(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                            tmp_path: Path) -> None:
    scratch = run(make(tiny_dataset, tiny_model, "scratch", epochs=6.0, learning_rate=2e-3), settings,
                  tmp_path / "scratch")
    assert scratch.metrics["test"]["accuracy"].low > 1 / 3
    with pytest.raises(NotFoundError, match="no base side"):
        artifact.load(Side.of(tmp_path / "scratch", Which.BASE), settings=settings)


def test_gradient_checkpointing_changes_memory_not_results(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                           tmp_path: Path) -> None:
    for method in ("full", "lora"):
        off = run(make(tiny_dataset, tiny_model, method, gradient_checkpointing="off"), settings,
                  tmp_path / f"{method}-off")
        on = run(make(tiny_dataset, tiny_model, method, gradient_checkpointing="on"),
                 settings, tmp_path / f"{method}-on")
        assert on.metrics["test"]["accuracy"].value == pytest.approx(off.metrics["test"]["accuracy"].value)
        np.testing.assert_allclose(predictions(tmp_path / f"{method}-on")["probabilities"],
                                   predictions(tmp_path / f"{method}-off")["probabilities"], atol=1e-4)


def test_fp16_on_a_cpu_is_refused_with_a_remedy(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RecipeError, match="fp16 is not available on a CPU"):
        run(make(tiny_dataset, tiny_model, "full", precision="fp16"), settings, tmp_path / "run")


def test_an_optimiser_that_is_not_there_is_refused_with_a_remedy(settings: Settings, tiny_model: Path,
                                                                 tiny_dataset: Dataset, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RecipeError, match="paged 8-bit optimiser is not available on a CPU"):
        run(make(tiny_dataset, tiny_model, "qlora", optimizer="paged_adamw_8bit"), settings, tmp_path / "run")


def test_frozen_blocks_run_in_eval_mode_during_training(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, ...]] = []
    real = trainer.ThawTrainer.compute_loss

    def spy(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(tuple(block.training for block in members(self.inputs.network.body, self.inputs.network.stack)))
        return real(self, model, *args, **kwargs)

    monkeypatch.setattr(trainer.ThawTrainer, "compute_loss", spy)
    plan = FreezePlan(frozen=("block 1",))
    run(make(tiny_dataset, tiny_model, "partial", freeze=plan, dropout=0.3), settings, tmp_path / "run")
    assert set(seen) == {(True, False, True, True)}
