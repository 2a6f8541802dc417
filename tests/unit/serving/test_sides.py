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
from core.training.recorder import recorded_steps
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
    checkpoints = [step for step in steps if not kept_steps.path(stopped, step).is_file()]
    assert kept_steps.path(stopped, steps[0]).is_file() and checkpoints  # a recorded step, and one of a checkpoint only
    first, last = (side_names.parse(f"{stopped}:step{step}") for step in (steps[0], checkpoints[-1]))
    assert side_names.spoken(first) == f"step{steps[0]}" and Side.parse(first.text) == first
    assert digest(first) != digest(last) != digest(base)
    said = rows.of(last, TEXTS, settings)
    assert said.files[-1].name == f"checkpoints/checkpoint-{checkpoints[-1]}/trained.safetensors"
    assert rows.of(first, TEXTS, settings).files[-1].name == f"steps/step-{steps[0]:07d}.safetensors"
    # the weights of the step and no others: those of the artifact, put in its place, answer as the run
    file = kept_steps.weights(stopped, checkpoints[-1])
    kept = load_file(file)
    adapter = load_file(stopped / "artifact" / "adapter" / "adapter_model.safetensors")
    head = load_file(stopped / "artifact" / "head.safetensors")
    own = {name: next((value for key, value in adapter.items()
                       if name == f"body.{key.replace('.weight', '.default.weight')}"), None) for name in kept}
    own |= {f"head.{name}": value for name, value in head.items()}
    assert all(value is not None for value in own.values()) and set(own) == set(kept)
    (file.parent / "manifest.json").unlink()
    save_file({name: value for name, value in own.items() if value is not None}, file)
    assert digest(last) == digest(tuned)

    for side in (first, last):
        kept_steps.weights(stopped, side.step).write_bytes(b"no weights")
        with pytest.raises(DataError, match=f"step {side.step} cannot be used"):
            answering.Loaded(side, settings)
    with pytest.raises(NotFoundError, match="keeps no weights of step 999"):
        answering.Loaded(side_names.parse(f"{stopped}:step999"), settings)
    assert side_names.parse(f"{stopped}@0.5") == replace(tuned, strength=0.5)
    assert side_names.parse(f"{stopped}@careful") == replace(tuned, point="careful")
    assert np.isfinite([list(answer["probabilities"].values()) for answer in said.answers]).all()


@pytest.mark.parametrize("method", ["lora", "partial", "gradual_unfreezing"])
def test_a_finished_run_keeps_the_weights_of_its_recorded_steps(settings: Settings, tiny_model: Path, tmp_path: Path,
                                                                tiny_dataset: Dataset, method: str) -> None:
    recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method=method, epochs=3.0, batch_size=8,
                    learning_rate=5e-3, max_length=32, precision="fp32", lora=LoraSpec(rank=4),
                    task=Task.TEXT_CLASSIFICATION)
    folder = tmp_path / "run"
    result = execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=Notes())
    assert not (folder / "checkpoints").exists() and result.best_step
    planned = 3 * 7  # of three epochs of 54 rows in batches of 8; it may end early
    assert kept_steps.of(folder) == [step for step in recorded_steps(planned) if 0 < step <= result.steps]
    said = {step: str(rows.of(side_names.parse(f"{folder}:step{step}"), TEXTS, settings).answers)
            for step in kept_steps.of(folder)}
    assert len(set(said.values())) >= len(said) - 1  # the first step of a warm-up moves nothing
    if result.best_step in said:
        assert said[result.best_step] == str(rows.of(Side.of(folder), TEXTS, settings).answers)


def test_steps_with_large_weights_are_not_kept(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                               tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_steps, "MOST_BYTES", 1000)
    recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method="lora", epochs=1.0, batch_size=8,
                    max_length=32, precision="fp32", lora=LoraSpec(rank=4), task=Task.TEXT_CLASSIFICATION)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    assert kept_steps.of(tmp_path / "run") == []
    with pytest.raises(NotFoundError, match="keeps no weights of step 1"):
        answering.Loaded(side_names.parse(f"{tmp_path / 'run'}:step1"), settings)


def test_a_run_that_takes_the_place_of_another_has_none_of_its_steps(settings: Settings, tiny_model: Path,
                                                                     tiny_dataset: Dataset, tmp_path: Path) -> None:
    for method, kept in (("lora", True), ("probe", False)):
        recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method=method, epochs=1.0, batch_size=8,
                        max_length=32, precision="fp32", lora=LoraSpec(rank=4), task=Task.TEXT_CLASSIFICATION)
        execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
        assert bool(kept_steps.of(tmp_path / "run")) == kept
