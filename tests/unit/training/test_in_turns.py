"""A run that lets others catch up at every rung ends as one that nobody waited for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from core.domain.dataset import Dataset
from core.domain.recipe import Recipe
from core.domain.run import Result, TurnOver
from core.settings import Settings
from core.training import checkpoints
from core.training.execute import execute
from tests import turns
from tests.conftest import WORKSPACE, Notes
from tests.unit.training.test_execute import make, predictions


def one_turn(recipe: Recipe, settings: Settings, folder: Path, *, resume: bool, others: bool = True) -> Result | None:
    """None where the turn was over before the run was."""
    try:
        return execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=Notes(), resume=resume,
                       in_turns=lambda: others)
    except TurnOver:
        return None


@pytest.mark.parametrize(("method", "precision"), turns.paired(["lora", "full", "lp_ft"], ["fp32", "bf16"]))
def test_a_run_in_turns_equals_an_uninterrupted_one_exactly(method: str, precision: str, settings: Settings,
                                                            tiny_model: Path, tiny_dataset: Dataset,
                                                            tmp_path: Path) -> None:
    recipe = make(tiny_dataset, tiny_model, method, dropout=0.1, precision=precision, epochs=4.0,
                  early_stopping_patience=0)
    whole = execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "whole", observer=Notes())
    cut, reached, total = tmp_path / "cut", [], 4 * 7  # batches of 8 of 54 rows
    while (result := one_turn(recipe, settings, cut, resume=bool(reached))) is None:
        newest = checkpoints.newest_whole(cut / "checkpoints")
        assert newest is not None and not (cut / "result.json").exists()
        reached.append(int(newest.name.split("-")[1]))
    every = math.ceil(7 / 2)
    assert reached == [math.ceil(rung * total / every) * every for rung in (0.25, 0.5)]
    assert (result.steps, result.best_step, result.metrics) == (whole.steps, whole.best_step, whole.metrics)
    np.testing.assert_array_equal(predictions(cut)["probabilities"], predictions(tmp_path / "whole")["probabilities"])


def test_nobody_waits_so_the_run_goes_on(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                         tmp_path: Path) -> None:
    recipe = make(tiny_dataset, tiny_model, "lora")
    result = one_turn(recipe, settings, tmp_path / "run", resume=False, others=False)
    assert result is not None and result.complete


def test_a_run_that_validation_ends_early_does_not_wait(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.training.test_execute import scripted

    scripted(monkeypatch, [0.9, 0.5, 0.5, 0.5, 0.5, 0.5])
    recipe = make(tiny_dataset, tiny_model, "full", epochs=4.0, early_stopping_patience=1)
    result = one_turn(recipe, settings, tmp_path / "run", resume=False)
    assert result is not None and result.steps == 8  # the rung at 7 of 28 steps has its checkpoint at 8
