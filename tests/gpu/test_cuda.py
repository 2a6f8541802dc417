"""The CPU's promises on a GPU. Skipped with a reason where there is no CUDA device; ready to run anywhere: `pytest
tests/gpu`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.domain.dataset import Dataset
from core.domain.freeze import FreezePlan
from core.domain.model import Weights
from core.domain.recipe import LoraSpec, Recipe
from core.domain.run import Result
from core.domain.side import Side
from core.models import load, methods
from core.settings import Settings
from core.training import artifact, device
from core.training.execute import execute
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_dataset

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(),
                                                  reason="there is no CUDA device on this machine")]


def make(dataset: Dataset, model: Path, method: str, **fields: Any) -> Recipe:
    values: dict[str, Any] = {"epochs": 2.0, "batch_size": 8, "learning_rate": 1e-3, "max_length": 32,
                              "evaluations_per_epoch": 2, "lora": LoraSpec(rank=4)}
    return Recipe(dataset=dataset.id, base_model=str(model), method=method, **(values | fields))


def run(recipe: Recipe, settings: Settings, folder: Path, notes: Notes | None = None, resume: bool = False) -> Result:
    return execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes or Notes(),
                   resume=resume)


def test_the_device_is_found_and_measured(settings: Settings) -> None:
    found = device.measure(settings)
    assert found.kind == "cuda" and found.name == torch.cuda.get_device_name(0)
    assert found.fp32_gflops > 0 and found.precision in ("fp32", "bf16", "fp16")


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_four_bit_storage_lies_on_the_device(kind: str, tmp_path: Path) -> None:
    import bitsandbytes as bnb

    from core.domain.recipe import QuantSpec

    body = load.load_body(tiny.bert(tmp_path), weights=Weights.FOUR_BIT, quantization=QuantSpec(type=kind),
                          compute_dtype=torch.bfloat16, device="cuda")
    layers = [m for m in body.modules() if isinstance(m, bnb.nn.Linear4bit)]
    assert layers
    for layer in layers:
        assert layer.weight.is_cuda and layer.weight.dtype == torch.uint8
        assert layer.weight.quant_state.quant_type == kind
        assert layer.weight.numel() * 2 == layer.in_features * layer.out_features


@pytest.mark.parametrize("method", ["full", "qlora"])
@pytest.mark.parametrize("asked", ["adamw", "paged_adamw_8bit"])
def test_the_optimiser_is_the_one_of_the_recipe(method: str, asked: str, settings: Settings, tiny_model: Path,
                                                tiny_dataset: Dataset, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    from bitsandbytes.optim import PagedAdamW8bit

    from core.training import trainer

    made: list[object] = []
    real = trainer.ThawTrainer.create_optimizer

    def spy(self: Any, model: Any = None) -> Any:
        optimizer = real(self, model)
        made.append(optimizer)
        return optimizer

    monkeypatch.setattr(trainer.ThawTrainer, "create_optimizer", spy)
    run(make(tiny_dataset, tiny_model, method, optimizer=asked), settings, tmp_path / "run")
    assert {isinstance(optimizer, PagedAdamW8bit) for optimizer in made} == {asked == "paged_adamw_8bit"}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("method", [name for name in methods.REGISTRY if not methods.card_of(name).own_head_only])
def test_every_method_runs_in_every_precision_and_reloads(method: str, precision: str, settings: Settings,
                                                          tiny_model: Path, tiny_dataset: Dataset,
                                                          tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    if precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this GPU has no bf16")
    freeze = FreezePlan(frozen=("embeddings", "block 0")) if method == "partial" else FreezePlan()
    result = run(make(tiny_dataset, tiny_model, method, precision=precision, freeze=freeze), settings, tmp_path / "run")
    assert result.precision == precision and result.peak_memory_bytes > 0
    recorded = pq.read_table(tmp_path / "run" / "predictions-test.parquet")
    rows = pq.read_table(settings.workspace(WORKSPACE) / "datasets" / tiny_dataset.id / "rows.parquet")
    texts = dict(zip(rows["row_id"].to_pylist(), rows["text"].to_pylist(), strict=True))
    tuned = artifact.load(Side.of(tmp_path / "run"), settings=settings)
    again = np.stack([list(r["probabilities"].values())
                      for r in tuned.predict([texts[i] for i in recorded["row_id"].to_pylist()])])
    np.testing.assert_allclose(again, np.stack(recorded["probabilities"].to_pylist()),
                               atol=2e-2 if precision != "fp32" else 1e-4)


class _Killed(BaseException):
    """Stands for the end of a worker."""


@pytest.mark.parametrize("method", ["full", "qlora"])
def test_a_resumed_run_equals_an_uninterrupted_one(method: str, settings: Settings, tiny_model: Path,
                                                   tiny_dataset: Dataset, tmp_path: Path) -> None:
    class KilledAt9(Notes):
        def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
            if unit == "steps" and done == 9:
                raise _Killed

    recipe = make(tiny_dataset, tiny_model, method, precision="fp32")
    whole = run(recipe, settings, tmp_path / "whole")
    with pytest.raises(_Killed):
        run(recipe, settings, tmp_path / "cut", KilledAt9())
    resumed = run(recipe, settings, tmp_path / "cut", resume=True)
    assert resumed.steps == whole.steps and resumed.best_step == whole.best_step
    assert resumed.metrics["test"]["accuracy"].value == pytest.approx(whole.metrics["test"]["accuracy"].value, abs=0.06)


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_the_memory_estimate_is_within_15_percent(method: str, settings: Settings, tmp_path: Path) -> None:
    """A BERT large enough (25 M) that tensors, not bookkeeping, decide."""
    model = tiny.bert(tmp_path / "base", layers=8, width=512)
    dataset = write_dataset(settings, n_rows=240)
    result = run(make(dataset, model, method, epochs=1.0, batch_size=32, max_length=64, precision="fp32"), settings,
                 tmp_path / "run")
    assert result.estimated_memory_bytes == pytest.approx(result.peak_memory_bytes, rel=0.15)
