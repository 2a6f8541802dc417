"""How a network is trained: which parameters at which rates, the schedule, when it is validated, what is reported."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import nn

from core.domain.dataset import Dataset
from core.domain.freeze import FreezePlan
from core.domain.recipe import Recipe
from core.domain.run import Result
from core.models import blocks, load, methods, origin
from core.models.network import Network
from core.settings import Settings
from core.training import trainer
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes, write_dataset


@pytest.fixture(scope="module")
def network(tiny_model: Path) -> Network:
    body = load.load_body(tiny_model)
    return Network(body, head=nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean")


def rates(network: Network, recipe: Recipe) -> dict[str, tuple[float, float, bool]]:
    """Parameter name -> (learning rate, weight decay, whether of the body)."""
    methods.get(recipe.method).make_trainable(network, recipe)
    groups = trainer.parameter_groups(network, recipe)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {names[id(p)]: (group["lr"], group["weight_decay"], group["body"])
             for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(found), "no parameter is in two groups"
    return found


def test_each_block_trains_at_its_own_rate_and_biases_and_norms_do_not_decay(network: Network) -> None:
    recipe = Recipe(dataset="d", base_model="m", method="full", learning_rate=1e-3, head_learning_rate=0.02,
                    weight_decay=0.1, freeze=FreezePlan(layer_decay=0.5))
    found = rates(network, recipe)
    assert set(found) == {name for name, _ in network.named_parameters()}
    for name, (rate, decay, body) in found.items():
        parts = name.split(".")
        above = 3 - int(parts[3]) if "layer" in parts else 4  # the embeddings lie below four blocks
        if name.startswith("body.pooler."):
            above = 0                                         # behind the last block, and so a part of it
        assert rate == pytest.approx(0.02 if name.startswith("head.") else 1e-3 * 0.5 ** above), name
        assert decay == (0.0 if name.endswith("bias") or "LayerNorm" in name else 0.1), name
        assert body is name.startswith("body.")
    assert found["head.weight"][1] == 0.1


def test_what_is_frozen_is_in_no_group(network: Network) -> None:
    recipe = Recipe(dataset="d", base_model="m", method="partial",
                    freeze=FreezePlan(frozen=("embeddings", "block 0", "block 1", "block 2")))
    assert {name.split(".")[3] for name in rates(network, recipe) if "layer" in name} == {"3"}


@pytest.mark.parametrize(("share", "total", "steps"), [(0.1, 100, 10), (0.1, 14, 1), (0.5, 7, 4), (0.1, 1, 1)])
def test_the_head_trains_alone_for_a_share_of_the_steps(share: float, total: int, steps: int) -> None:
    assert trainer.head_first_steps(share, total) == steps


def test_rates_of_head_and_body_over_the_steps() -> None:
    head, body = trainer.head_rate(10), trainer.body_rate(2, 10)
    assert [head(step) for step in (0, 5, 10, 11)] == [1, 0.5, 0, 0]
    assert [body(step) for step in range(6)] == pytest.approx([0, 0, 0.8 / 3, 0.7 * 2 / 3, 0.6, 0.5])
    assert trainer.head_rate(0)(0) == 1


@dataclass
class Trained:
    base: Path
    folder: Path
    dataset: Dataset
    notes: Notes
    result: Result
    fit: trainer.ThawTrainer
    given_back: int
    """Times that memory was handed back to the system by the trainer."""


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """54 rows by 8 are 7 steps an epoch, two epochs; validated every 4 steps."""
    folder = tmp_path_factory.mktemp("trained")
    settings = Settings(home=folder / "home", hub=False)
    dataset = write_dataset(settings, n_rows=90)
    recipe = Recipe(dataset=dataset.id, base_model=str(tiny_model), method="full",
                    epochs=2.0, batch_size=8, learning_rate=1e-3, head_learning_rate=5e-3, warmup_ratio=0.3,
                    max_grad_norm=0.5, max_length=32, evaluations_per_epoch=2, early_stopping_patience=0, seed=3,
                    precision="fp32")
    notes, built, build, given = Notes(), [], trainer.build, []

    def kept(**options: Any) -> trainer.ThawTrainer:
        built.append(build(**options))
        return built[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "build", kept)
        patch.setattr(trainer, "held", SimpleNamespace(give_back=lambda: given.append(True)))
        result = execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder / "run", observer=notes)
    return Trained(tiny_model, folder / "run", dataset, notes, result, built[0], len(given))


def test_what_a_batch_took_is_handed_back_before_the_next(trained: Trained) -> None:
    """The C library keeps the tensors of short batches, and takes those of long ones from elsewhere."""
    assert trained.given_back == trained.result.steps == 14


def test_a_result_says_which_phase_took_most(trained: Trained) -> None:
    peaks = trained.result.phase_memory_bytes
    assert {"training", "evaluating", "saving"} <= set(peaks)
    assert max(peaks.values()) == trained.result.peak_memory_bytes


def test_every_step_is_reported_with_its_rate(trained: Trained) -> None:
    """A third of the way up, then down to zero, in straight lines."""
    steps = trained.notes.steps
    assert [step["step"] for step in steps] == list(range(1, 15)) and {step["total_steps"] for step in steps} == {14}
    up = [step / 4 for step in range(4)]
    rate = [1e-3 * share for share in (*up, *((14 - step) / 10 for step in range(4, 14)))]
    assert [step["learning_rate"] for step in steps] == pytest.approx(rate)
    assert [step["epoch"] for step in steps] == pytest.approx([step / 7 for step in range(1, 15)], abs=1e-3)
    assert all(step["loss"] > 0 for step in steps)


def test_rows_seen_are_counted_over_epochs(trained: Trained) -> None:
    seen = [8, 16, 24, 32, 40, 48, 54]
    assert [step["samples"] for step in trained.notes.steps] == [*seen, *(54 + rows for rows in seen)]
    assert trained.result.samples == 108 and trained.result.steps == 14
    seconds = [step["seconds"] for step in trained.notes.steps]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_it_is_validated_and_kept_as_often_as_asked(trained: Trained) -> None:
    assert [e["step"] for e in trained.notes.evaluations] == [0, 4, 8, 12, 14]
    assert [e["samples"] for e in trained.notes.evaluations] == [0, 32, 62, 94, 108]
    assert [e["epoch"] for e in trained.notes.evaluations] == pytest.approx([0, 4 / 7, 8 / 7, 12 / 7, 2], abs=1e-3)


def test_the_trainer_takes_over_what_the_recipe_says(trained: Trained) -> None:
    args = trained.fit.args
    assert (args.max_grad_norm, args.seed, args.data_seed, args.logging_steps) == (0.5, 3, 3, 1)
    assert (args.bf16, args.fp16, args.logging_nan_inf_filter) == (False, False, False)
    assert trained.fit.sampler.seed == 3 and trained.fit.sampler.epoch == 1


def test_what_a_run_was_made_with_is_beside_it(trained: Trained) -> None:
    found = json.loads((trained.folder / "environment.json").read_text())
    assert (found["dataset"], found["base_model_revision"]) == (trained.dataset.content_hash,
                                                                trained.result.model_revision)
    assert (found["precision"], found["seed"], found["device"]["kind"]) == ("fp32", 3, trained.fit.args.device.type)
    assert set(trained.result.phase_seconds) == set(trained.notes.phases)
    assert all(0 <= seconds < 600 for seconds in trained.result.phase_seconds.values())
    assert found["versions"] == trained.result.versions and found["versions"]["torch"] and found["threads"] > 0
    assert origin.of(trained.folder).dataset_hash == trained.dataset.content_hash
    (trained.folder / "origin.json").unlink()
    (trained.folder / "result.json").rename(trained.folder / "kept.json")
    assert origin.of(trained.folder).dataset_hash == trained.dataset.content_hash, "as earlier versions said it"
    (trained.folder / "kept.json").rename(trained.folder / "result.json")


def test_the_size_of_an_artifact_is_that_of_what_the_tuned_model_needs(trained: Trained) -> None:
    folder = trained.folder / "artifact"
    needed = {"head.safetensors", "weights.safetensors", "labels.json"}
    assert {path.name for path in folder.iterdir() if path.is_file()} == needed | {"base_head.safetensors",
                                                                                  "source.json"}
    assert trained.result.artifact_bytes == sum((folder / name).stat().st_size for name in needed)
    head = load_file(folder / "head.safetensors")
    assert {name: tuple(value.shape) for name, value in head.items()} == {"weight": (3, 64), "bias": (3,)}
    body = {name for name in load_file(trained.base / "model.safetensors") if not name.startswith("pooler.")}
    assert set(load_file(folder / "weights.safetensors")) == body
    assert not (trained.folder / "checkpoints").exists(), "a finished run has nothing to resume"


def test_metric_first_loss_for_ties(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two checkpoints of one accuracy the one of less loss is better; no loss outweighs a row."""
    from core.training import evaluate

    kept, chosen = trained.fit.best_outputs, []
    assert kept is not None
    for accuracy, loss in ((0.5, 0.1), (0.5, 9.0), (0.52, 9.0)):
        monkeypatch.setattr(evaluate, "scores", lambda *_, a=accuracy, b=loss: {"loss": b, "accuracy": a})
        chosen.append(trained.fit.record(kept)["eval_selection"])
    assert chosen[1] < chosen[0] < chosen[2]
    assert chosen[0] == pytest.approx(0.5 - 1e-3 * math.tanh(0.1), abs=1e-9)


def test_an_lp_ft_run_holds_its_body_until_the_head_has_settled(tiny_dataset: Dataset, tiny_model: Path,
                                                                settings: Settings, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[bool] = []
    real = trainer.ThawTrainer.compute_loss

    def spy(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        modes.append(self.inputs.network.body.training)
        return real(self, model, *args, **kwargs)

    monkeypatch.setattr(trainer.ThawTrainer, "compute_loss", spy)
    recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method="lp_ft", epochs=4.0, batch_size=8,
                    max_length=32, evaluations_per_epoch=1, precision="fp32", early_stopping_patience=0)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    alone = trainer.head_first_steps(methods.card_of("lp_ft").head_first, 28)
    assert 1 < alone < 14 and modes == [False] * alone + [True] * (28 - alone)
