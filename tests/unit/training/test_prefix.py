"""Where the frozen prefix of a run ends, and which runs share it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.model import Block, ModelFacts
from core.domain.recipe import QuantSpec, Recipe
from core.features.extract import Boundary
from core.models.blocks import Stack
from core.settings import Settings
from core.training import prefix
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes

NETWORK: Any = SimpleNamespace(stack=Stack(tuple(f"layer.{i}" for i in range(4))))
FACTS = ModelFacts(id="m", revision="r", architecture="", tasks=(Task.TEXT_CLASSIFICATION,), hidden_size=8,
                   intermediate_size=8, attention_heads=1, max_length=64,
                   blocks=(Block(index=0, name="embeddings", parameters=8),))


def recipe(method: str, *frozen: str, **fields: Any) -> Recipe:
    return Recipe(dataset="d", base_model="m", method=method, freeze=FreezePlan(frozen=frozen), **fields)


@pytest.mark.parametrize(("method", "frozen", "boundary"), [
    ("partial", ("embeddings", "block 0", "block 1"), 2), ("lora", ("embeddings", "block 0", "block 1"), 2),
    ("partial", ("embeddings", "block 1"), 0), ("partial", ("embeddings",), 0), ("partial", ("block 0",), -1),
    ("partial", ("embeddings", "block 0", "block 1", "block 2", "block 3"), 3),  # its output still passes a norm
    ("full", ("embeddings", "block 0"), 0), ("scratch", ("embeddings", "block 0"), 0),
])
def test_the_first_block_that_trains(method: str, frozen: tuple[str, ...], boundary: int) -> None:
    assert prefix._boundary(recipe(method, *frozen), NETWORK) == boundary


def key(of: Recipe, **fields: Any) -> dict[str, Any]:
    return prefix._key(of, fields.pop("facts", FACTS),
                       **({"boundary": 2, "dataset": "d", "precision": "fp32", "device": "cpu"} | fields))


def test_runs_share_a_prefix_that_is_computed_alike_and_no_other() -> None:
    own = key(recipe("partial", "embeddings"))
    assert key(recipe("lora", "block 0", seed=5, learning_rate=0.1)) == own
    four_bit = [key(recipe("qlora", quantization=QuantSpec(type=kind, double=double)))
                for kind in ("nf4", "fp4") for double in (True, False)]
    others = [*four_bit, key(recipe("partial", max_length=7)), key(recipe("partial"), boundary=1),
              key(recipe("partial"), dataset="e"), key(recipe("partial"), precision="bf16"),
              key(recipe("partial"), device="cuda"), key(recipe("partial"), facts=replace(FACTS, revision="s"))]
    found = [own, *others]
    assert all(a != b for i, a in enumerate(found) for b in found[i + 1:])


def test_an_entry_a_token_or_a_picture() -> None:
    texts: Any = SimpleNamespace(ragged=True, lengths=np.array([3, 5]))
    offsets, width = prefix._layout(texts, Boundary((5, 8), "float32", ()))
    assert (offsets.tolist(), width) == ([0, 3, 8], 8)
    pictures: Any = SimpleNamespace(ragged=False, lengths=np.array([1, 1]))
    offsets, width = prefix._layout(pictures, Boundary((4, 3, 2), "float32", ()))
    assert (offsets.tolist(), width) == ([0, 1, 2], 24)


def test_a_prefix_that_takes_more_than_its_share_of_the_cache_is_not_kept(
        settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    notes = Notes()
    wanted = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method="partial", epochs=0.5, batch_size=8,
                    max_length=32, precision="fp32", freeze=FreezePlan(frozen=("embeddings", "block 0")))
    execute(wanted, settings=replace(settings, cache_gb=1e-5), workspace=WORKSPACE, run_dir=tmp_path / "run",
            observer=notes)
    assert any("more than the 0.0 GB that one entry of the cache may take (THAW_CACHE_GB)" in n for n in notes.notes)
    assert not list((settings.cache / "prefix").glob("*")) and not any("run once" in note for note in notes.notes)
