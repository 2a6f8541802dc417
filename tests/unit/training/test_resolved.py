"""A run computes in one number format from its first execution on, whatever is measured later."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.domain import codec
from core.domain.dataset import Dataset
from core.domain.device import Device
from core.domain.recipe import LoraSpec, Recipe
from core.settings import Settings
from core.training import device as device_module
from core.training.execute import execute
from core.training.resolved import resolved
from tests.conftest import WORKSPACE, Notes


class _Killed(BaseException):
    """Stands for the end of a worker."""


class _KilledAt9(Notes):
    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        if unit == "steps" and done == 9:
            raise _Killed


@pytest.fixture
def found(settings: Settings) -> Device:
    """This device, measured."""
    return device_module.measure(settings)


def write(device: Device, settings: Settings, *, precision: str) -> None:
    changed = dataclasses.replace(device, precision=precision)
    (settings.home / "device.json").write_text(json.dumps(codec.to_json(changed)), encoding="utf-8")


def recipe(**fields: object) -> Recipe:
    values: dict[str, object] = {"dataset": "d", "base_model": "m", "method": "lora", "epochs": 2.0, "batch_size": 8,
                                 "max_length": 32, "learning_rate": 1e-3, "lora": LoraSpec(rank=4)}
    return Recipe(**(values | fields))  # type: ignore[arg-type]


def kept(folder: Path) -> Recipe:
    return Recipe.from_json(json.loads((folder / "recipe.json").read_text()))


def test_a_run_left_open_is_resumed_in_the_format_it_began_in(found: Device, settings: Settings, tiny_model: Path,
                                                              tiny_dataset: Dataset, tmp_path: Path) -> None:
    left_open = recipe(dataset=tiny_dataset.id, base_model=str(tiny_model))
    write(found, settings, precision="bf16")
    where = {"settings": settings, "workspace": WORKSPACE}
    whole = execute(left_open, run_dir=tmp_path / "whole", observer=Notes(), **where)  # type: ignore[arg-type]
    with pytest.raises(_Killed):
        execute(left_open, run_dir=tmp_path / "cut", observer=_KilledAt9(), **where)  # type: ignore[arg-type]
    assert kept(tmp_path / "cut") == left_open.replace(precision="bf16")
    write(found, settings, precision="fp32")
    resumed = execute(left_open, run_dir=tmp_path / "cut", observer=Notes(), resume=True, **where)  # type: ignore[arg-type]
    assert (resumed.precision, resumed.metrics) == ("bf16", whole.metrics)
    tables = [pq.read_table(tmp_path / name / "predictions-test.parquet") for name in ("whole", "cut")]
    assert tables[0].equals(tables[1]), "bit for bit"
    again = execute(left_open, run_dir=tmp_path / "other", observer=Notes(), **where)  # type: ignore[arg-type]
    assert again.precision == "fp32", "a new run takes what is measured now"
    np.testing.assert_equal(kept(tmp_path / "other").precision, "fp32")


def test_a_run_of_an_older_version_goes_on_as_it_ended(found: Device, settings: Settings, tmp_path: Path) -> None:
    """Its recipe was left open for good; its environment says what it computed in."""
    write(found, settings, precision="fp32")
    (tmp_path / "recipe.json").write_text(json.dumps(recipe().to_json()))
    (tmp_path / "environment.json").write_text(json.dumps({"precision": "bf16", "device": codec.to_json(found)}))
    assert resolved(recipe(), run_dir=tmp_path, settings=settings) == recipe(precision="bf16")


@pytest.mark.parametrize("before", [recipe(precision="bf16", seed=1), recipe(precision="bf16", method="full"), None])
def test_the_folder_of_another_recipe_decides_nothing(before: Recipe | None, found: Device, settings: Settings,
                                                      tmp_path: Path) -> None:
    write(found, settings, precision="fp32")
    (tmp_path / "recipe.json").write_text(json.dumps(before.to_json()) if before else "{")
    assert resolved(recipe(), run_dir=tmp_path, settings=settings) == recipe(precision="fp32")
    asked = recipe(precision="fp32", optimizer="paged_adamw_8bit")
    assert resolved(asked, run_dir=tmp_path, settings=settings) == asked
