"""Weights after training against published ones: adapters are measured as what they make of a weight, whatever their
kind.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from core.domain.dataset import Dataset
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side
from core.settings import Settings
from core.training import artifact
from core.training.execute import execute
from core.training.extract import measure
from tests.conftest import WORKSPACE, Notes


@pytest.mark.parametrize("method", ["lora", "dora", "ia3"])
def test_an_adapter_counts_as_the_weight_it_makes(method: str, settings: Settings, tiny_model: Path,
                                                  tiny_dataset: Dataset, tmp_path: Path) -> None:
    recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method=method, epochs=1.0, batch_size=8,
                    learning_rate=3e-3, max_length=32, precision="fp32", lora=LoraSpec(rank=4))
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    measure(tmp_path / "run", settings=settings, workspace=WORKSPACE, observer=Notes())
    found = json.loads((tmp_path / "run" / "features" / "weights.json").read_text(encoding="utf-8"))
    body = artifact.load(Side.of(tmp_path / "run"), settings=settings).network.body
    merged = body.merge_and_unload().state_dict()  # type: ignore[operator]
    published = load_file(tiny_model / "model.safetensors")
    assert len(found["modules"]) == 4 * (3 if method == "ia3" else 6)
    for module in found["modules"]:
        before, after = published[module["name"]].numpy(), merged[module["name"]].numpy()
        expected = np.linalg.norm(after - before) / np.linalg.norm(before)
        assert expected > 0 and module["relative"] == pytest.approx(expected, rel=1e-3)
