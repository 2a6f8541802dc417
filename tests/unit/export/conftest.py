"""Tiny finished runs, trained once for all tests of exports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.domain.dataset import Task
from core.domain.freeze import FreezePlan
from core.domain.recipe import LoraSpec, Recipe
from core.export.finished import Finished
from core.settings import Settings
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_dataset, write_language_dataset, write_picture_dataset

TEXT, PICTURE, LANGUAGE = "text", "picture", "language"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Finished]:
    """trained(kind, model, method, precision) -> the finished run, in a workspace as the app has it."""
    settings = Settings(home=tmp_path_factory.mktemp("exports") / "home", hub=False)
    runs: dict[tuple[str, ...], Path] = {}
    datasets: dict[str, Any] = {}

    def make(kind: str, model: str, method: str, precision: str = "fp32", **changes: Any) -> Finished:
        key = (kind, model, method, precision, *map(str, changes.items()))
        if key not in runs:
            runs[key] = _train(settings, datasets, kind, model, method, precision, changes, f"run{len(runs)}")
        return Finished(folder=runs[key], settings=settings, workspace=WORKSPACE)

    return make


def _train(settings: Settings, datasets: dict[str, Any], kind: str, model: str, method: str, precision: str,
           changes: dict[str, Any], name: str) -> Path:
    from core.training import samples
    from core.training.execute import execute

    folder = settings.home / "models" / model
    if not folder.exists():
        build: Any = {TEXT: lambda: getattr(tiny, model)(folder), PICTURE: lambda: tiny.PICTURE_FAMILIES[model](folder),
                      LANGUAGE: lambda: tiny.language(model, folder)}[kind]
        build()
    if kind not in datasets:
        datasets[kind] = {TEXT: lambda: write_dataset(settings, n_rows=90),
                          PICTURE: lambda: write_picture_dataset(settings, n_rows=30),
                          LANGUAGE: lambda: write_language_dataset(settings, n_rows=40, chat=True)}[kind]()
    freeze = {"freeze": FreezePlan(frozen=("embeddings",))} if method == "partial" else {}
    task = {TEXT: Task.TEXT_CLASSIFICATION, PICTURE: Task.IMAGE_CLASSIFICATION, LANGUAGE: Task.LANGUAGE_MODELLING}[kind]
    recipe = Recipe(dataset=datasets[kind].id, base_model=str(folder), method=method, epochs=2.0, batch_size=8,
                    learning_rate=3e-3, precision=precision, task=task, effort="quick",
                    **{"lora": LoraSpec(rank=4), "max_length": {TEXT: 32, PICTURE: 0, LANGUAGE: 64}[kind], **freeze,
                       **changes})
    run_dir = settings.workspace(WORKSPACE) / "runs" / name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "MOST_TOKENS", {"quick": 4})
        execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=run_dir, observer=Notes())
    return run_dir


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs by torch's tracing exporter alone, which takes a second where the other takes five."""
    from core.export import onnx_graph

    def never(*args: Any, **options: Any) -> None:
        raise RuntimeError("left out")

    monkeypatch.setattr(onnx_graph, "by_dynamo", never)
