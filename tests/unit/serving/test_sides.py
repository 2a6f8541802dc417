"""Sides at a strength and at a kept step: 0 answers as the base model and 1 as the tuned one, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from core.analysis import kept_steps
from core.domain.dataset import Dataset, Task
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError
from core.serving import answering, rows, side_names
from core.serving.question import Question
from core.settings import Settings
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes

TEXTS = ["goal match team the year", "bank market share of profit and growth"]


class Stopping(Notes):
    """Asks to stop at step 6, and goes on asking."""

    asked = False

    def should_stop(self) -> bool:
        self.asked = self.asked or any(step["step"] >= 6 for step in self.steps)
        return self.asked


@pytest.fixture
def stopped(settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> Path:
    """A run that was stopped, so that its last checkpoints are kept."""
    recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method="lora", epochs=3.0, batch_size=8,
                    learning_rate=5e-3, max_length=32, precision="fp32", lora=LoraSpec(rank=4),
                    task=Task.TEXT_CLASSIFICATION, evaluations_per_epoch=4)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Stopping())
    return tmp_path / "run"


def test_sides_answer_from_their_own_files(stopped: Path, settings: Settings) -> None:
    def digest(side: Side) -> str:
        loaded = answering.Loaded(side, settings)
        (*_, last) = answering.answer(loaded, Question(sides=(side,), texts=(TEXTS[0],)), 0)
        return last.digest

    tuned, base = Side.of(stopped), Side.of(stopped, Which.BASE)
    assert digest(replace(tuned, strength=0.0)) == digest(base) != digest(tuned)
    assert digest(replace(tuned, strength=1.0)) == digest(tuned) != digest(replace(tuned, strength=0.5))

    steps = kept_steps.of(stopped)
    assert len(steps) >= 2
    first, last = (side_names.parse(f"{stopped}:step{step}") for step in (steps[0], steps[-1]))
    assert side_names.spoken(first) == f"step{steps[0]}" and Side.parse(first.text) == first
    assert digest(first) != digest(last)
    said = rows.of(first, TEXTS, settings)
    assert said.files[-1].name == f"checkpoints/checkpoint-{steps[0]}/trained.safetensors"
    # the weights of the step and no others: those of the artifact, put in its place, answer as the run
    file = kept_steps.weights(stopped, steps[0])
    kept = load_file(file)
    adapter = load_file(stopped / "artifact" / "adapter" / "adapter_model.safetensors")
    head = load_file(stopped / "artifact" / "head.safetensors")
    own = {name: next((value for key, value in adapter.items()
                       if name == f"body.{key.replace('.weight', '.default.weight')}"), None) for name in kept}
    own |= {f"head.{name}": value for name, value in head.items()}
    assert all(value is not None for value in own.values()) and set(own) == set(kept)
    (file.parent / "manifest.json").unlink()
    save_file({name: value for name, value in own.items() if value is not None}, file)
    assert digest(first) == digest(tuned)

    file.write_bytes(b"no weights")
    with pytest.raises(DataError, match=f"step {steps[0]}"):
        answering.Loaded(first, settings)
    with pytest.raises(NotFoundError, match="keeps no weights of step 999"):
        answering.Loaded(side_names.parse(f"{stopped}:step999"), settings)
    assert side_names.parse(f"{stopped}@0.5") == replace(tuned, strength=0.5)
    assert side_names.parse(f"{stopped}@careful") == replace(tuned, point="careful")
    assert np.isfinite([list(answer["probabilities"].values()) for answer in said.answers]).all()
