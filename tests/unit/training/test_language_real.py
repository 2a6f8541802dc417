"""The bundled language model on the bundled tales: what LoRA must reach in sixty steps (some minutes on two cores)."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.dataset import Task
from core.domain.recipe import LoraSpec, Recipe
from core.settings import Settings
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes


@pytest.mark.slow
def test_sixty_steps_of_lora_on_the_tales(settings: Settings, tmp_path: Path) -> None:
    """A prototype of 60 steps of 4 x 256 tokens went from 3.264 to 2.981 nats a token on held-out tales, and from 3.531
    to 3.349 on Andersen's."""
    recipe = Recipe(dataset="tales", base_model="smollm2", task=Task.LANGUAGE_MODELLING, method="lora", batch_size=4,
                    max_length=256, epochs=0.652, learning_rate=4e-4, lora=LoraSpec(rank=16, alpha=32.0),
                    evaluations_per_epoch=1)
    result = execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    assert result.steps == 60
    for split, most in (("test", 3.05), ("shift", 3.42)):
        before, after = result.base[split]["loss"], result.metrics[split]["loss"]
        assert after.high < before.low and after.value < most
    assert result.metrics["test"]["perplexity"].value < result.base["test"]["perplexity"].value
