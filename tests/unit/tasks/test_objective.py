"""The engine knows no class: a task of another kind, with a loss a token and rows without labels, runs through it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from core import tasks
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side
from core.metrics import Judged
from core.models import blocks, load, sharing, tokens
from core.models.network import Network
from core.settings import Settings
from core.tasks import texts
from core.tasks.base import Outputs, Rows, Scored
from core.training import artifact
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes, write_dataset

VOCABULARY = 64
LEVEL = float(np.log(VOCABULARY))
"""Loss a token of somebody who guesses: a row below it counts as right here."""


class TokenNetwork(Network):
    """A head on every token instead of on the pooled feature."""

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = self.body(**inputs).last_hidden_state
        with torch.autocast(hidden.device.type, enabled=False):
            return {"logits": self.head(hidden.float())}  # (n_rows, n_tokens, n_words)


class NameTheToken:
    """Says which token stands where: a loss a token, kept as one number a row."""

    card = tasks.CARDS[Task.LANGUAGE_MODELLING]
    script = Path()

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    @classmethod
    def of(cls, model: Path, rows: Rows) -> NameTheToken:
        assert (rows.labels == -1).all() and rows.classes == ()
        return cls(tokens.load(model))

    @classmethod
    def load(cls, artifact: Path, about: Mapping[str, Any]) -> NameTheToken:
        return cls(tokens.load(artifact / "processor"))

    def save(self, artifact: Path) -> dict[str, Any]:
        self.processor.save_pretrained(artifact / "processor")
        return {}

    def choose(self, rows: Rows, indices: np.ndarray, count: int, *, seed: int) -> np.ndarray:
        return indices[:count]

    def cautions(self, rows: Rows, chosen: Mapping[str, np.ndarray]) -> list[Any]:
        return []

    def encode(self, rows: Rows, *, recipe: Recipe, facts: ModelFacts, cache: Path, **_: Any) -> texts.EncodedTexts:
        return texts.encode(rows, self.processor, recipe=recipe, facts=facts, cache=cache)

    def examine(self, rows: Rows, encoded: Any, train: np.ndarray, **_: Any) -> list[str]:
        return []

    def build(self, folder: Path, *, recipe: Recipe, facts: ModelFacts, weights: Weights, dropout: float,
              compute_dtype: torch.dtype, device: str, reads_only: bool = False) -> Network:
        body = load.load_body(folder, weights=weights, dropout=dropout, quantization=recipe.quantization,
                              compute_dtype=compute_dtype, device=device, reads_only=reads_only)
        stack = sharing.of_build(body, blocks.find_stack(body), facts)
        torch.manual_seed(5)
        return TokenNetwork(body, head=nn.Linear(facts.hidden_size, VOCABULARY), stack=stack, pooling="mean")

    def targets(self, rows: Rows, encoded: Any, indices: np.ndarray) -> dict[str, torch.Tensor]:
        found = encoded.batch(indices)
        return {"token": found["input_ids"].where(found["attention_mask"] == 1, -100)}

    def loss(self, outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
        return cross_entropy(outputs["logits"].transpose(1, 2), targets["token"])

    def weight(self, targets: dict[str, torch.Tensor]) -> int:
        return int((targets["token"] != -100).sum())

    def keep(self, outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        losses = cross_entropy(outputs["logits"].transpose(1, 2), targets["token"], reduction="none")
        return {"loss": losses.sum(1), "tokens": (targets["token"] != -100).sum(1)}

    def judge(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> Judged:
        good = (kept["loss"] / kept["tokens"] < LEVEL).astype(np.int64)
        return Judged(labels=np.ones_like(good), predictions=good)

    def mean_loss(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> float:
        return float(kept["loss"].sum() / kept["tokens"].sum())

    def predictions(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> pa.Table:
        return pa.table({"row_id": rows.row_ids[indices], **kept})

    def samples(self, kept: Outputs) -> list[dict[str, Any]]:
        return [{"loss": float(loss)} for loss in kept["loss"]]

    def as_good(self, now: Scored, best: Scored, rows: Rows, indices: np.ndarray) -> bool:
        return now.merit >= best.merit


@pytest.fixture
def unlabelled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """90 texts without labels."""
    monkeypatch.setitem(tasks.REGISTRY, Task.LANGUAGE_MODELLING, NameTheToken)
    labelled = write_dataset(settings, n_rows=90)
    counts = {split: {"": sum(rows.values())} for split, rows in labelled.counts.items()}
    found = dataclasses.replace(labelled, task=Task.LANGUAGE_MODELLING, classes=(), counts=counts)
    folder = settings.workspace(WORKSPACE) / "datasets" / found.id
    pq.write_table(pq.read_table(folder / "rows.parquet").drop_columns("label"), folder / "rows.parquet")
    (folder / "dataset.json").write_text(json.dumps(codec.to_json(found)), encoding="utf-8")
    return found


@pytest.mark.parametrize(("method", "fields"), [
    ("probe", {}), ("full", {"track_features": 8}), ("lora", {"lora": LoraSpec(rank=4)}), ("scratch", {}),
    ("partial", {"freeze": FreezePlan(frozen=("embeddings", "block 0"))})])
def test_a_task_with_a_loss_a_token_and_no_labels_runs_and_reloads(
        method: str, fields: dict[str, Any], unlabelled: Dataset, settings: Settings, tiny_model: Path,
        tmp_path: Path) -> None:
    recipe = Recipe(dataset=unlabelled.id, base_model=str(tiny_model), method=method, task=Task.LANGUAGE_MODELLING,
                    epochs=4.0, batch_size=8, learning_rate=3e-3, head_learning_rate=3e-2, max_length=32,
                    precision="fp32", **fields)
    notes, folder = Notes(), tmp_path / "run"
    result = execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes)

    recorded = pq.read_table(folder / "predictions-test.parquet")
    assert recorded.column_names == ["row_id", "loss", "tokens"] and recorded.num_rows == 18
    assert set(result.metrics) == {"validation", "test"}
    if method != "probe":  # the untouched model is judged as it is
        first, *_, last = (evaluation["loss"] for evaluation in notes.evaluations)
        assert last < first - 0.5 and any("cached" in note for note in notes.notes) == (method == "partial")

    place = settings.workspace(WORKSPACE) / "datasets" / unlabelled.id / "rows.parquet"
    content = pq.read_table(place)["text"].take(recorded["row_id"]).to_pylist()  # a row's id is its place here
    again = artifact.load(Side.of(folder), settings=settings).predict(content)
    np.testing.assert_allclose([answer["loss"] for answer in again], recorded["loss"].to_numpy(), rtol=1e-4)
