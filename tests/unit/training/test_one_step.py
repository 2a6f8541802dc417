"""One step tried for real: the longest rows, as a run would take it, with nothing left of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.domain.dataset import Content, Task
from core.domain.freeze import lower_half
from core.domain.one_step import OneStep
from core.domain.recipe import Recipe
from core.domain.run import Phase
from core.errors import RecipeError
from core.models import inspect as model_inspect
from core.settings import Settings
from core.training import one_step
from core.training.one_step import take
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_dataset, write_language_dataset

LANGUAGE = Task.on(Content.TEXT, labelled=False)


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.language("llama", tmp_path_factory.mktemp("model") / "causal")


def language(causal: Path, settings: Settings, **changes: object) -> Recipe:
    dataset = write_language_dataset(settings, n_rows=40)
    return Recipe(dataset=dataset.id, base_model=str(causal), method="lora", task=LANGUAGE, batch_size=3, max_length=24,
                  precision="fp32", epochs=2.0, track_features=0).replace(**changes)


def tried(recipe: Recipe, settings: Settings, folder: Path, notes: Notes | None = None) -> OneStep:
    found = take(recipe, settings=settings, workspace=WORKSPACE, folder=folder, observer=notes or Notes())
    assert found is not None
    return found


def test_a_step_of_a_language_model_says_what_it_took_and_taught(causal: Path, settings: Settings,
                                                                 tmp_path: Path) -> None:
    notes = Notes()
    found = tried(language(causal, settings), settings, tmp_path / "trial", notes)
    assert found.rows == 3 and found.taught is not None and 0 < found.taught <= 3 * 23 and found.tokens == 3 * 24
    assert found.estimated_memory_bytes > 0 and found.step_seconds > 0
    assert found.steps == 16 and found.training_seconds <= found.steps * found.step_seconds * 1.0001
    assert found.seconds > found.training_seconds and found.precision == "fp32"
    assert notes.phases[-1] is Phase.TRAINING and notes.done == one_step.TIMES
    left = {path.name for path in (tmp_path / "trial").rglob("*") if path.is_file()}
    assert not left & {"result.json", "recipe.json", "trained.safetensors", "adapter_model.safetensors"}


@pytest.mark.parametrize("accumulation", [1, 3])
def test_it_takes_the_longest_rows_and_moves_the_weights(causal: Path, settings: Settings, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch, accumulation: int) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    moved: list[float] = []
    usual = one_step._steps

    def watch(session: one_step.Session, inputs: one_step.Inputs, rows: np.ndarray) -> list[float]:
        lengths = session.encoded.lengths
        seen.append((np.sort(lengths[rows]), np.sort(lengths[session.train])))
        before = {name: value.clone() for name, value in inputs.network.trained_state().items()}
        try:
            return usual(session, inputs, rows)
        finally:
            moved.append(max(float((value - before[name]).abs().max())
                             for name, value in inputs.network.trained_state().items()))

    monkeypatch.setattr(one_step, "_steps", watch)
    recipe = language(causal, settings, gradient_accumulation=accumulation, warmup_ratio=0.0)
    found = tried(recipe, settings, tmp_path / "trial")
    (rows, every), = seen
    assert found.rows == len(rows) == 3 * accumulation and np.array_equal(rows, every[-len(rows):])
    assert moved[0] > 0


@pytest.mark.parametrize("method", ["full", "partial", "qlora", "scratch", "kl_to_base"])
def test_every_method_that_takes_steps_can_be_tried(causal: Path, settings: Settings, tmp_path: Path,
                                                    method: str) -> None:
    recipe = language(causal, settings, method=method)
    if method == "partial":
        facts = model_inspect.inspect_model(str(causal), settings=settings)
        recipe = recipe.replace(freeze=lower_half(facts.block_names))
    assert tried(recipe, settings, tmp_path / "trial").method == method


@pytest.mark.parametrize("method", ["lora", "qlora", "lp_ft", "gradual_unfreezing"])
def test_so_can_classifiers(settings: Settings, tmp_path: Path, method: str) -> None:
    dataset = write_dataset(settings, n_rows=60)
    recipe = Recipe(dataset=dataset.id, base_model=str(tiny.bert(tmp_path / "model")), method=method,
                    task=dataset.task, batch_size=8, max_length=32, precision="fp32", track_features=0)
    found = tried(recipe, settings, tmp_path / "trial")
    assert found.taught is None and found.rows == 8 and found.tokens % 8 == 0


def test_what_takes_no_steps_is_refused_with_a_reason(causal: Path, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no step"):
        take(language(causal, settings, method="probe"), settings=settings, workspace=WORKSPACE,
             folder=tmp_path / "trial", observer=Notes())


def test_one_that_was_stopped_says_nothing(causal: Path, settings: Settings, tmp_path: Path) -> None:
    assert take(language(causal, settings), settings=settings, workspace=WORKSPACE, folder=tmp_path / "trial",
                observer=Notes(stop_at=1)) is None


