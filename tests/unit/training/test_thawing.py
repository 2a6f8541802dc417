"""Blocks that thaw from the top down: when, at which rates, what is frozen until then, and what a run leaves of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.domain.dataset import Dataset
from core.domain.freeze import FreezePlan, groups_from_top
from core.domain.recipe import Recipe
from core.domain.side import Side
from core.models import blocks, load, methods, sharing
from core.models.network import Network
from core.settings import Settings
from core.training import artifact, evaluate, thawing, trainer
from tests import families, tiny
from tests.conftest import Notes
from tests.unit.training.test_execute import _Killed, _KilledAt, make, predictions, run, texts_of

METHOD = "gradual_unfreezing"
FOUR = ("embeddings", "block 0", "block 1", "block 2", "block 3")
STEPS = 28
"""Of four epochs of the tiny dataset: a third of them is 9.33, its thirds 3.11 and 6.22."""


def recipe(method: str = METHOD, **fields: Any) -> Recipe:
    return Recipe(dataset="d", base_model="m", method=method, **fields)


def test_neighbouring_blocks_are_grouped_from_the_top() -> None:
    assert groups_from_top((*FOUR, "head"), 4) == [("block 3",), ("block 2",), ("block 1",), ("embeddings", "block 0")]
    deep = ("embeddings", *(f"block {i}" for i in range(12)), "head")
    assert [len(group) for group in groups_from_top(deep, 4)] == [3, 3, 3, 4]
    assert groups_from_top(deep, 4)[0] == ("block 9", "block 10", "block 11")
    assert groups_from_top(deep, 4)[-1] == ("embeddings", "block 0", "block 1", "block 2")
    assert groups_from_top(("embeddings", "block 0"), 4) == [("block 0",), ("embeddings",)]
    assert groups_from_top(("embeddings", *(f"block {i}" for i in range(30))), 1) == [
        ("embeddings", *(f"block {i}" for i in range(30)))]


@pytest.mark.parametrize("depth", range(1, 33))
@pytest.mark.parametrize("most", [1, 3, 4])
def test_groups_are_all_blocks_in_order_and_as_equal_as_can_be(depth: int, most: int) -> None:
    names = ("embeddings", *(f"block {i}" for i in range(depth)))
    found = groups_from_top(names, most)
    assert tuple(name for group in reversed(found) for name in group) == names
    sizes = [len(group) for group in found]
    assert len(found) == min(most, depth + 1) and sizes == sorted(sizes) and sizes[-1] - sizes[0] <= 1


@pytest.mark.parametrize(("total", "starts"), [(28, [0, 3, 6, 9]), (90, [0, 10, 20, 30]), (9, [0, 1, 2, 3]),
                                               (2, [0, 0, 0, 0]), (3, [0, 0, 0, 1])])
def test_groups_thaw_in_equal_stretches_of_the_first_third(total: int, starts: list[int]) -> None:
    """With two steps, as when one is tried, all trains from the first: what is measured is the peak."""
    assert thawing.starts(recipe(), FOUR, total) == starts
    for step in range(total):
        frozen = thawing.frozen_at(recipe(), FOUR, step, total)
        assert frozen == tuple(name for group, start in zip(groups_from_top(FOUR, 4), starts, strict=True)
                               if step < start for name in group)
        assert next((waiting for until, waiting in thawing.stages(recipe(), FOUR, total) if step < until), ()) == frozen


def test_where_nothing_thaws_nothing_waits() -> None:
    assert thawing.starts(recipe("full"), FOUR, 90) == [0] and thawing.stages(recipe("full"), FOUR, 90) == []
    assert all(thawing.frozen_at(recipe("full"), FOUR, step, 90) == () for step in range(90))
    assert thawing.stages(recipe(), ("block 0",), 90) == []


def test_each_group_trains_at_the_rate_of_the_one_above_divided_by_2_6(tiny_model: Path) -> None:
    network = of(tiny_model)
    found: dict[str, float] = {}
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for group in trainer.parameter_groups(network, recipe(learning_rate=1e-3, head_learning_rate=0.02)):
        found |= {names[id(parameter)]: group["lr"] for parameter in group["params"]}
    assert len(found) == len(names)
    for name, rate in found.items():
        parts = name.split(".")
        above = min(3, 3 - int(parts[3])) if "layer" in parts else 0 if "pooler" in parts else 3
        assert rate == pytest.approx(0.02 if name.startswith("head.") else 1e-3 / 2.6 ** above), name


def of(folder: Path, **fields: Any) -> Network:
    body = load.load_body(folder)
    network = Network(body, head=torch.nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean")
    methods.get(METHOD).make_trainable(network, recipe(**fields))
    return network


def group_of(name: str) -> int:
    """From the top, of a parameter of the tiny BERT's body."""
    parts = name.removeprefix("body.").split(".")
    return 3 - int(parts[2]) if parts[0] == "encoder" else 3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_has_not_thawed_has_the_published_bytes_no_moments_and_is_in_eval_mode(
        precision: str, settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    published = load_file(tiny_model / "model.safetensors")
    seen: list[tuple[set[int], set[int], set[int]]] = []
    real, loss = trainer.ObserverCallback.on_step_end, trainer.ThawTrainer.compute_loss
    modes: list[set[int]] = []

    def during(self: Any, *args: Any, **kwargs: Any) -> Any:
        assert self.inputs.prefix is None
        layers = self.inputs.network.body.encoder.layer
        modes.append({3 - place for place, layer in enumerate(layers) if layer.training})
        assert self.inputs.network.body.embeddings.training == layers[0].training
        return loss(self, *args, **kwargs)

    def after(self: Any, *args: Any, **kwargs: Any) -> Any:
        network, state = self.trainer.inputs.network, self.trainer.optimizer.state
        body = {name: parameter for name, parameter in network.body.named_parameters() if "pooler" not in name}
        changed = {group_of(name) for name, p in body.items() if not torch.equal(p.detach(), published[name])}
        matrices = {group_of(name) for name, p in body.items() if p.ndim > 1 and torch.equal(p.detach(),
                                                                                              published[name])}
        assert not changed & matrices, "what has thawed moves"
        seen.append((changed, {group_of(name) for name, p in body.items() if state.get(p)},
                     {group_of(name) for name, p in body.items() if p.requires_grad}))
        assert set(network.trained_state()) == {name for name, _ in network.named_parameters()}
        return real(self, *args, **kwargs)

    monkeypatch.setattr(trainer.ObserverCallback, "on_step_end", after)
    monkeypatch.setattr(trainer.ThawTrainer, "compute_loss", during)
    notes = Notes()
    result = run(make(tiny_dataset, tiny_model, METHOD, epochs=4.0, warmup_ratio=0.0, early_stopping_patience=0,
                      dropout=0.1, precision=precision), settings, tmp_path / "run", notes)
    assert result.steps == STEPS == len(seen)
    expected = [{above for above, start in enumerate((0, 3, 6, 9)) if step >= start} for step in range(STEPS)]
    assert [changed for changed, _, _ in seen] == expected
    assert [moments for _, moments, _ in seen] == expected == [gradients for _, _, gradients in seen]
    assert modes == expected
    assert [step["learning_rate"] for step in notes.steps] == pytest.approx(
        [1e-3 * (1 - step / STEPS) for step in range(STEPS)]), "what is reported is the uppermost group's"
    assert not any("cached" in note for note in notes.notes), "nothing of what thaws is kept as it was"
    assert result.trainable_params == result.total_params


@pytest.mark.parametrize("kill_at", [5, 7, 12])
def test_a_run_that_goes_on_in_the_middle_of_a_stage_equals_an_uninterrupted_one(
        kill_at: int, settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    """From the checkpoints of steps 4, 6 and 12: in the second stage, at the border to the third, and after all."""
    wanted = make(tiny_dataset, tiny_model, METHOD, epochs=4.0, evaluations_per_epoch=4, dropout=0.1,
                  early_stopping_patience=0)
    whole = run(wanted, settings, tmp_path / "whole")
    notes = _KilledAt()
    notes.kill_at = kill_at
    with pytest.raises(_Killed):
        run(wanted, settings, tmp_path / "cut", notes)
    newest = max(int(path.name.split("-")[1]) for path in (tmp_path / "cut" / "checkpoints").glob("checkpoint-*"))
    assert newest == {5: 4, 7: 6, 12: 10}[kill_at]
    resumed = run(wanted, settings, tmp_path / "cut", resume=True)
    assert (resumed.steps, resumed.best_step, resumed.metrics) == (whole.steps, whole.best_step, whole.metrics)
    of_cut, of_whole = (load_file(tmp_path / name / "artifact" / "weights.safetensors") for name in ("cut", "whole"))
    assert all(torch.equal(value, of_whole[name]) for name, value in of_cut.items())
    np.testing.assert_array_equal(predictions(tmp_path / "cut")["probabilities"],
                                  predictions(tmp_path / "whole")["probabilities"])


def test_the_best_step_of_an_early_stage_comes_back_whole(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                          tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What thawed after it is put back to the published bytes, in the network and in what is saved."""
    accuracies, real = iter([0.3, 0.5, 0.9] + [0.1] * 40), trainer.ThawTrainer.record

    def record(self: Any, kept: dict[str, np.ndarray]) -> dict[str, float]:
        with monkeypatch.context() as scripted:
            scripted.setattr(evaluate, "scores",
                             lambda *_: {"loss": 1.0, "accuracy": next(accuracies), "macro_f1": 0.0})
            return real(self, kept)

    monkeypatch.setattr(trainer.ThawTrainer, "record", record)
    result = run(make(tiny_dataset, tiny_model, METHOD, epochs=4.0, evaluations_per_epoch=4, warmup_ratio=0.0,
                      early_stopping_patience=0), settings, tmp_path / "run")
    assert result.best_step == 4 and result.steps == STEPS
    published, saved = (load_file(tiny_model / "model.safetensors"),
                        load_file(tmp_path / "run" / "artifact" / "weights.safetensors"))
    moved = {group_of(name) for name, value in saved.items() if not torch.equal(value, published[name])}
    assert moved == {0, 1} and {group_of(name) for name in saved} == {0, 1, 2, 3}
    again = artifact.load(Side.of(tmp_path / "run"), settings=settings)
    recorded = predictions(tmp_path / "run")
    said = np.stack([list(row["probabilities"].values())
                     for row in again.predict(texts_of(settings, tiny_dataset, recorded["row_id"]))])
    np.testing.assert_allclose(said, recorded["probabilities"], atol=2e-5)


def test_a_run_that_is_stopped_in_an_early_stage_is_whole(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                          tmp_path: Path) -> None:
    published = load_file(tiny_model / "model.safetensors")
    result = run(make(tiny_dataset, tiny_model, METHOD, epochs=4.0, warmup_ratio=0.0), settings, tmp_path / "run",
                 Notes(stop_at=2))
    assert result.steps == 2
    saved = load_file(tmp_path / "run" / "artifact" / "weights.safetensors")
    assert {group_of(name) for name, value in saved.items() if not torch.equal(value, published[name])} <= {0}
    assert set(saved) == {name for name in published if "pooler" not in name}


def test_statistics_of_norms_wait_with_their_block(tmp_path: Path) -> None:
    body = load.load_body(tiny.efficientnet(tmp_path))
    network = Network(body, head=torch.nn.Linear(2, 3), stack=blocks.find_stack(body), pooling="mean")
    network.freeze(FreezePlan(), batch_norm="batch")
    frozen = groups_from_top(network.stack.names, 4)[-1]
    held, waiting = network.until_thawed(frozen)
    before = {name: value.clone() for name, value in network.named_buffers()}
    network.train()
    network.hold(held, waiting)
    assert set(network.trained_statistics()) == {name for name in before if "running" in name}
    body(torch.randn(4, 3, 64, 64)).last_hidden_state.sum().backward()
    moved = {name for name, value in network.named_buffers() if "running" in name and not torch.equal(value,
                                                                                                  before[name])}
    owner = blocks.users_of([name for name, _ in body.named_modules()], network.stack)
    stays = {name for name in before if "running" in name
             and set(owner[name.removeprefix("body.").rpartition(".")[0]]) & set(frozen)}
    assert stays and moved == {name for name in before if "running" in name} - stays
    assert all(parameter.grad is None for parameter in waiting) and any(p.grad is not None for p in body.parameters())
    network.hold([])
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_what_several_groups_use_waits_for_the_lowest(tmp_path: Path) -> None:
    """DeBERTa's relative embeddings are registered behind the blocks, and read by each of them from block 0 on."""
    body = load.load_body(families.make("deberta2", tmp_path / "model"))
    ids, stack = torch.arange(1, 7).unsqueeze(0), blocks.find_stack(body)
    stack = stack.knowing(sharing.trace(body, stack, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}))
    network = Network(body, head=torch.nn.Linear(2, 3), stack=stack, pooling="mean")
    network.freeze(FreezePlan())
    shared, groups = body.get_parameter("encoder.rel_embeddings.weight"), groups_from_top(stack.names, 4)
    assert stack.size > 2
    for above in range(1, len(groups)):
        frozen = [name for group in groups[above:] for name in group]
        waits = any(parameter is shared for parameter in network.until_thawed(frozen)[1])
        assert waits == ("block 0" in frozen)
