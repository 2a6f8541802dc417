"""Trying a step: asked for once, told by recipe, never a run; what to change where it failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.api import Thaw
from core.api.trials import LESS, mended
from core.domain.dataset import Content, Task
from core.domain.one_step import OneStep
from core.domain.recipe import Recipe
from core.domain.run import Failure, JobKind, Status
from core.errors import TIPS, FailureKind, RecipeError, ThawError
from core.jobs import worker
from core.models import inspect as model_inspect
from core.settings import Settings
from core.store import Store
from tests import tiny
from tests.conftest import WORKSPACE, write_language_dataset


@pytest.fixture
def recipe(settings: Settings, tmp_path: Path) -> Recipe:
    model = tiny.language("llama", settings.home / "models" / "causal")
    model_inspect.inspect_model(str(model), settings=settings)
    dataset = write_language_dataset(settings, n_rows=30)
    return Recipe(dataset=dataset.id, base_model=str(model), method="lora", batch_size=2, max_length=24,
                  task=Task.on(Content.TEXT, labelled=False), precision="fp32")


def test_a_step_is_asked_for_once_taken_by_a_worker_and_found_by_its_recipe(recipe: Recipe, settings: Settings) -> None:
    thaw = Thaw(settings)
    assert thaw.trials.look(WORKSPACE, recipe) is None and thaw.trials.job(WORKSPACE, recipe) is None
    id = thaw.trials.ask(WORKSPACE, recipe)
    assert thaw.trials.ask(WORKSPACE, recipe.replace(seed=3)) == id  # the seed decides nothing here
    claim = Store(settings).queue.claim(supervisor="s", host="h", slots=1)
    assert claim is not None and claim.run.kind is JobKind.TRIAL and claim.run.recipe is None
    assert worker.run_job(id, fence=claim.fence, settings=settings) == 0
    found = thaw.trials.look(WORKSPACE, recipe)
    assert isinstance(found, OneStep) and found.method == "lora" and found.rows == 2 and found.taught
    job = thaw.trials.job(WORKSPACE, recipe)
    assert job is not None and job.status is Status.DONE
    assert thaw.runs.all(WORKSPACE, kind=JobKind.TRAIN) == [] and thaw.experiments.all(WORKSPACE) == []
    assert thaw.trials.look(WORKSPACE, recipe.replace(batch_size=4)) is None


def test_one_can_be_ended_at_once(recipe: Recipe, settings: Settings) -> None:
    thaw = Thaw(settings)
    thaw.trials.stop(WORKSPACE, thaw.trials.ask(WORKSPACE, recipe))
    job = thaw.trials.job(WORKSPACE, recipe)
    assert job is not None and job.status is Status.STOPPED and thaw.trials.look(WORKSPACE, recipe) is None


def test_what_cannot_run_is_refused_before_it_is_queued(recipe: Recipe, settings: Settings) -> None:
    thaw = Thaw(settings)
    with pytest.raises(RecipeError, match="Untouched model takes no step"):
        thaw.trials.ask(WORKSPACE, recipe.replace(method="probe"))
    with pytest.raises(ThawError):
        thaw.trials.ask(WORKSPACE, recipe.replace(batch_size=0))
    assert thaw.runs.all(WORKSPACE) == []


def test_a_failure_says_what_to_change_about_a_step() -> None:
    def told(kind: FailureKind) -> Failure:
        found = mended(Failure(kind=kind, what="It failed.", why="So.", remedy=TIPS[kind]))
        assert found is not None and found.why == "So."
        return found

    out = told(FailureKind.OUT_OF_MEMORY)
    assert out.remedy == LESS and "batch size" in LESS and "more memory" in out.what
    for kind in (FailureKind.OUT_OF_MEMORY, FailureKind.INTERRUPTED, FailureKind.NON_FINITE_LOSS):
        assert not {"fork", "resume", "checkpoint"} & set(told(kind).remedy.lower().replace(",", " ").split())
    assert mended(None) is None and told(FailureKind.FETCH).remedy == TIPS[FailureKind.FETCH]
