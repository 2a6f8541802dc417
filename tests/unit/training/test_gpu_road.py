"""What a run does on a GPU, forced on a CPU: it reloads from what it held in 16 bits, what it is compared with fits the
card, memory is its own, comparisons stay small, and one card is used."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.domain.dataset import Dataset, Split, Task
from core.domain.device import Device
from core.domain.freeze import FreezePlan
from core.domain.model import Weights
from core.domain.recipe import PAGED_ADAMW, LoraSpec, Recipe
from core.domain.side import Side
from core.models import language, methods
from core.models.inspect import inspect_model
from core.models.language import LanguageHead
from core.planning import effort
from core.settings import Settings
from core.training import artifact, evaluate, panel_states, rounding, trainer
from core.training.execute import execute
from core.training.inputs import Inputs
from core.training.peak_memory import PeakMemory
from core.training.session import Session, read_rows
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_language_dataset
from tests.live_memory import Live


@pytest.mark.parametrize("method", ["lora", "qlora", "full", "partial"])
def test_a_run_on_the_road_of_a_gpu_is_reloaded_and_says_the_same(method: str, settings: Settings, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights arrive in 16 bits and no mask is read, in training and again when the run is opened."""
    import pyarrow.parquet as pq

    dataset = write_language_dataset(settings, n_rows=40)
    model = tiny.language("llama", tmp_path / "llama", dtype="bfloat16")
    recipe = Recipe(dataset=dataset.id, base_model=str(model), method=method, task=Task.LANGUAGE_MODELLING, epochs=1.0,
                    batch_size=4, max_length=32, precision="bf16", lora=LoraSpec(rank=2), learning_rate=1e-2,
                    freeze=FreezePlan(frozen=("embeddings", "block 0")) if method == "partial" else FreezePlan())
    monkeypatch.setattr(language, "is_elsewhere", lambda device: True)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    recorded = pq.read_table(tmp_path / "run" / "predictions-test.parquet")
    tuned = artifact.load(Side.of(tmp_path / "run"), settings=settings)
    assert tuned.network.reads_no_mask  # type: ignore[attr-defined]
    rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
    encoded = tuned.task.encode(rows, recipe=recipe, facts=inspect_model(str(model), settings=settings),
                                cache=settings.cache)
    inputs = Inputs(task=tuned.task, network=tuned.network, rows=rows, encoded=encoded, precision="bf16")
    again = evaluate.outputs(inputs, rows.of(Split.TEST))
    assert rows.row_ids[rows.of(Split.TEST)].tolist() == recorded["row_id"].to_pylist()
    np.testing.assert_allclose(again["losses"], recorded["loss"].to_pylist(), rtol=1e-6)


@pytest.mark.parametrize(("method", "memory", "billions", "precision", "held"), [
    ("qlora", 24e9, 7.0, "bf16", Weights.PRETRAINED), ("qlora", 12e9, 7.0, "bf16", Weights.FOUR_BIT),
    ("qlora", 24e9, 7.0, "fp32", Weights.FOUR_BIT), ("lora", 12e9, 7.0, "bf16", Weights.PRETRAINED),
    ("qlora", 12e9, 1.0, "fp32", Weights.PRETRAINED)])
def test_what_a_run_is_compared_with_fits_beside_4_bits(method: str, memory: float, billions: float, precision: str,
                                                        held: Weights, gpu: Device, cpu: Device) -> None:
    def of(device: Device) -> Weights:
        session = SimpleNamespace(card=methods.card_of(method), device=device, precision=precision,
                                  settings=SimpleNamespace(slots=1), facts=SimpleNamespace(parameters=billions * 1e9))
        return Session.untouched_weights.fget(session)  # type: ignore[attr-defined, no-any-return]

    assert of(dataclasses.replace(gpu, memory_bytes=int(memory))) is held
    assert of(dataclasses.replace(cpu, memory_bytes=int(memory))) is Weights.PRETRAINED


def test_a_run_that_fills_its_card_is_compared_with_the_model_in_4_bits(settings: Settings, tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = write_language_dataset(settings, n_rows=40)
    model = tiny.language("llama", tmp_path / "llama")
    recipe = Recipe(dataset=dataset.id, base_model=str(model), method="qlora", task=Task.LANGUAGE_MODELLING, epochs=1.0,
                    batch_size=4, max_length=32, precision="fp32", lora=LoraSpec(rank=2), learning_rate=1e-9)
    found = {}
    for held in (Weights.PRETRAINED, Weights.FOUR_BIT):
        monkeypatch.setattr(Session, "untouched_weights", held)
        notes = Notes()
        result = execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / held, observer=notes)
        found[held] = (result.base["test"]["loss"].value, result.metrics["test"]["loss"].value)
        assert any("untouched model in 4 bits" in note for note in notes.notes) == (held is Weights.FOUR_BIT)
        assert bool(result.noise_floor) == (held is Weights.PRETRAINED)
    untouched, after = found[Weights.FOUR_BIT]
    assert untouched == pytest.approx(after, rel=1e-5)  # nothing was learned
    assert abs(found[Weights.PRETRAINED][0] - after) > 1e-4  # what rounding changed


def test_a_model_is_read_in_another_precision_where_the_card_has_one_and_room(gpu: Device, cpu: Device) -> None:
    old = dataclasses.replace(gpu, bf16_gflops=0.0, precision="fp16")
    assert [rounding.other_precision(precision, gpu) for precision in ("fp32", "bf16", "fp16")] == ["bf16", "fp32",
                                                                                                    "fp32"]
    assert rounding.other_precision("fp32", old) == "fp16" and rounding.other_precision("fp32", cpu) == "bf16"
    assert rounding.most_for_rounding(gpu) == rounding.most_for_rounding(cpu) == rounding.MOST_FOR_ROUNDING
    assert rounding.most_for_rounding(dataclasses.replace(gpu, memory_bytes=8 * 10**9)) == 1e9


def test_only_qlora_of_a_language_model_on_a_gpu_is_paged(gpu: Device, cpu: Device) -> None:
    def chosen(method: str, task: Task, device: Device | None) -> str:
        return effort.defaults(dataset="d", task=task, base_model="m", method=method, device=device).optimizer

    language, labelled = Task.LANGUAGE_MODELLING, Task.TEXT_CLASSIFICATION
    assert chosen("qlora", language, gpu) == PAGED_ADAMW
    assert {chosen("qlora", language, cpu), chosen("qlora", language, None), chosen("lora", language, gpu),
            chosen("qlora", labelled, gpu)} == {"adamw"}


# -- memory ------------------------------------------------------------------------------------------------------------


def test_what_is_only_waiting_to_be_let_go_of_is_not_the_runs_memory() -> None:
    gc.disable()
    try:
        layer = nn.Linear(4, 4)
        layer.itself = [layer]  # type: ignore[assignment]
        left = weakref.ref(layer)
        del layer
        assert left() is not None
        with PeakMemory("cpu"):
            assert left() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("room", [20_000, 10**9])
def test_two_models_are_compared_some_tokens_at_a_time(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers, and never more than the room for them."""
    torch.manual_seed(0)
    tokens, width, vocabulary = 200, 16, 50
    heads = [LanguageHead(nn.Linear(width, vocabulary, bias=False), tied=True) for _ in range(2)]
    states = [torch.randn(tokens, width) for _ in range(2)]
    truth = torch.randint(0, vocabulary, (tokens,))
    monkeypatch.setattr(panel_states, "CHUNK_BYTES", {"cpu": room})
    with Live() as live:
        found = panel_states.compare(states[0], heads[0], states[1], heads[1], truth, precision="fp32")
    given = 4 * (2 * tokens * width + 2 * width * vocabulary) + 8 * tokens
    small = max(room, panel_states.LEAST_TOKENS * panel_states.BYTES_A_WORD * vocabulary) + 4 * 3 * tokens
    assert live.peak < given + small + 2_000
    p, q = (torch.log_softmax(head(values), -1).detach() for head, values in zip(heads, states, strict=True))
    rows = torch.arange(tokens)
    for mine, reference in zip(found, (-p[rows, truth], -q[rows, truth], (q.exp() * (q - p)).sum(-1)), strict=True):
        np.testing.assert_allclose(mine, reference.numpy(), rtol=1e-4, atol=1e-5)
    same = panel_states.compare(states[0], heads[0], states[0], heads[0], truth, precision="fp32")
    assert not same[2].any()


# -- the Trainer -------------------------------------------------------------------------------------------------------


def test_one_card_is_used_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Several(trainer.TrainingArguments):
        @property
        def n_gpu(self) -> int:
            return self.__dict__.get("_n_gpu", 4) or 4

    asked: list[Any] = []
    monkeypatch.setattr(trainer, "TrainingArguments", Several)
    built = SimpleNamespace(callback_handler=SimpleNamespace(callbacks=[]))
    monkeypatch.setattr(trainer, "ThawTrainer", lambda *, args, **others: asked.append(args) or built)
    network = SimpleNamespace(device=torch.device("cpu"))
    trainer.build(inputs=SimpleNamespace(network=network, precision="fp32"),  # type: ignore[arg-type]
                  recipe=Recipe(dataset="d", base_model="m", method="full"), train=np.arange(8), folder=tmp_path,
                  validation=np.arange(0), observer=Notes())
    assert asked[0].n_gpu == 1


def test_a_batch_says_on_the_cpu_what_it_teaches(settings: Settings, tmp_path: Path) -> None:
    """Its places are there with it, so that no device is asked for them."""
    from core import tasks

    dataset: Dataset = write_language_dataset(settings, n_rows=20)
    model = tiny.language("llama", tmp_path / "llama")
    recipe = Recipe(dataset=dataset.id, base_model=str(model), method="lora", task=Task.LANGUAGE_MODELLING,
                    max_length=32)
    rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
    task = tasks.get(recipe.task).of(model, rows)
    encoded = task.encode(rows, recipe=recipe, facts=inspect_model(str(model), settings=settings), cache=settings.cache)
    targets = task.targets(rows, encoded, np.arange(5))
    assert task.weight(targets) == len(targets["places"]) == int(encoded.n_taught[:5].sum())
    assert (targets["labels"].flatten()[targets["places"]] >= 0).all()
