"""A merged export as the base model of another run: training on from it begins where the run ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.domain.side import Side, Which
from core.export import FORMATS
from core.export.finished import Finished
from core.models import inspect as model_inspect
from core.training import artifact, known_rows
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes

Trained = Callable[..., Finished]


def merged(run: Finished, name: str) -> Path:
    """Where models of a data folder may lie."""
    target = run.settings.home / "models" / name
    target.mkdir()
    FORMATS["merged"].write(run, target)
    model_inspect.inspect_model(str(target), settings=run.settings)
    return target


@pytest.mark.parametrize(("model", "method"), [("llama", "lora"), ("gpt2", "full")])
def test_a_language_model_is_pretrained_on_a_domain_and_then_tuned(model: str, method: str, trained: Trained,
                                                                   tmp_path: Path) -> None:
    """What the second run calls untouched has the loss with which the first one ended (Gururangan et al. 2020)."""
    first = trained("language", model, method)
    target = merged(first, f"domain-{model}")
    second = first.recipe.replace(base_model=str(target), method="lora", epochs=1.0)
    execute(second, settings=first.settings, workspace=WORKSPACE, run_dir=tmp_path / "second", observer=Notes())
    result = Finished(folder=tmp_path / "second", settings=first.settings, workspace=WORKSPACE).result
    assert result is not None and first.result is not None and result.base
    for metric in ("loss", "perplexity"):
        assert result.base["test"][metric].value == pytest.approx(first.result.metrics["test"][metric].value,
                                                                          rel=1e-4)
    assert result.metrics["test"]["loss"].value != result.base["test"]["loss"].value


def test_a_classifier_begins_with_the_features_that_the_first_run_made(trained: Trained, tmp_path: Path) -> None:
    first = trained("text", "bert", "lora")
    target = merged(first, "tuned-bert")
    second = first.recipe.replace(base_model=str(target), method="probe")
    execute(second, settings=first.settings, workspace=WORKSPACE, run_dir=tmp_path / "second", observer=Notes())
    texts = ["a late goal won the match", "the bank raised its rates"]
    was = known_rows.features(artifact.load(Side.of(first.folder), settings=first.settings), texts)
    again = Side.of(tmp_path / "second", Which.BASE)
    begins = known_rows.features(artifact.load(again, settings=first.settings), texts)
    untouched = known_rows.features(artifact.load(Side.of(first.folder, Which.BASE), settings=first.settings), texts)
    np.testing.assert_allclose(begins, was, atol=1e-5)
    assert np.abs(untouched - was).max() > 1e-3
