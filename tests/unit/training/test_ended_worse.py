"""A run that leaves a model worse than it began says so, with what to do; others say nothing of the kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.domain.dataset import Dataset, Task
from core.domain.recipe import HeadInit, LoraSpec, Recipe
from core.settings import Settings
from core.training.execute import execute
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_language_dataset

BEGINS = "Training made it worse: "


def notes_of(recipe: Recipe, settings: Settings, folder: Path, **more: Any) -> list[str]:
    notes = Notes()
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=notes, **more)
    return [note for note in notes.notes if note.startswith(BEGINS)]


def of_texts(dataset: Dataset, model: Path, **fields: Any) -> Recipe:
    return Recipe(**{"dataset": dataset.id, "base_model": str(model), "method": "full", "batch_size": 8, "epochs": 2.0,
                     "max_length": 32, "precision": "fp32", "head_init": HeadInit.PROBE, "lora": LoraSpec(rank=4),
                     **fields})


@pytest.mark.parametrize(("method", "precision"), [("full", "fp32"), ("full", "bf16"), ("lora", "fp32")])
def test_a_rate_that_is_far_too_high_is_named(method: str, precision: str, settings: Settings, tiny_model: Path,
                                              tiny_dataset: Dataset, tmp_path: Path) -> None:
    recipe = of_texts(tiny_dataset, tiny_model, method=method, precision=precision)
    [said] = notes_of(recipe.replace(learning_rate=3.0, head_learning_rate=3.0), settings, tmp_path / "high")
    assert " points of accuracy (95 % interval " in said and "(here 3)" in said and "try a third of it" in said
    assert not notes_of(recipe.replace(learning_rate=1e-4), settings, tmp_path / "usual")


def test_what_began_from_nothing_is_not_held_against_it(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                        tmp_path: Path) -> None:
    """A head drawn at random, fresh weights, and a probe, which is what it began from."""
    high = {"learning_rate": 3.0, "head_learning_rate": 3.0}
    tried: dict[str, dict[str, Any]] = {"random": {"head_init": HeadInit.RANDOM, **high},
                                        "scratch": {"method": "scratch", **high}, "probe": {"method": "probe"}}
    for name, fields in tried.items():
        assert not notes_of(of_texts(tiny_dataset, tiny_model, **fields), settings, tmp_path / name)


@pytest.mark.parametrize(("rate", "worse"), [(1.0, True), (1e-3, False)])
def test_a_language_model_is_held_against_the_untouched_one(rate: float, worse: bool, settings: Settings,
                                                            tmp_path: Path) -> None:
    model = tiny.language("llama", tmp_path / "llama")
    dataset = write_language_dataset(settings, n_rows=40)
    recipe = Recipe(dataset=dataset.id, base_model=str(model), method="full", batch_size=4, epochs=2.0,
                    task=Task.LANGUAGE_MODELLING, max_length=48, precision="fp32", learning_rate=rate)
    said = notes_of(recipe, settings, tmp_path / "run")
    assert bool(said) == worse and all(" of loss (95 % interval " in each for each in said)
