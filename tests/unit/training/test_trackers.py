"""Trackers hear of a run where they are asked for and installed, and change nothing of it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.api import Thaw
from core.domain.recipe import Recipe
from core.errors import ThawError
from core.planning import trackers
from core.settings import Settings
from core.training.execute import execute
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_dataset

WRITER = '''
import json, pathlib

class SummaryWriter:
    """Writes what the callback of transformers hands on as lines."""

    def __init__(self, log_dir):
        self.path = pathlib.Path(log_dir) / "events.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def add_scalar(self, name, value, step):
        with self.path.open("a") as file:
            file.write(json.dumps([name, value, step]) + chr(10))

    def add_text(self, *given):
        pass

    def flush(self):
        pass

    close = flush
'''


def test_what_is_unknown_or_not_installed_is_said_before_a_run_starts(settings: Settings, tmp_path: Path) -> None:
    dataset = write_dataset(settings, n_rows=30)
    recipe = Recipe(dataset=dataset.id, base_model=str(tiny.bert(tmp_path / "bert")), method="probe")
    for name, why in (("wandb2", "does not know"), ("mlflow", "not installed")):
        asking = replace(settings, trackers=(name,))
        with pytest.raises(ThawError, match=why) as caught:
            execute(recipe, settings=asking, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
        assert caught.value.why and "THAW_TRACKERS" in caught.value.what and not (tmp_path / "run").exists()
        with pytest.raises(ThawError, match=why):
            Thaw(asking).experiments.submit(WORKSPACE, [recipe], name="tracked")
    trackers.check(settings)


def test_tensorboard_hears_of_losses_and_evaluations(settings: Settings, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib" / "tensorboardX").mkdir(parents=True)
    (tmp_path / "lib" / "tensorboardX" / "__init__.py").write_text(WRITER)
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.delitem(sys.modules, "tensorboardX", raising=False)
    dataset = write_dataset(settings, n_rows=90)
    recipe = Recipe(dataset=dataset.id, base_model=str(tiny.bert(tmp_path / "bert")), method="full", epochs=1.0,
                    batch_size=8, precision="fp32", max_length=32)
    said = []
    for name, asked in (("plain", ()), ("tracked", ("tensorboard",))):
        run = tmp_path / name
        execute(recipe, settings=replace(settings, trackers=asked), workspace=WORKSPACE, run_dir=run, observer=Notes())
        said.append((run / "predictions-test.parquet").read_bytes())
    assert said[0] == said[1]  # telling others changes nothing
    assert not (tmp_path / "plain" / "tensorboard").exists()
    events = (tmp_path / "tracked" / "tensorboard" / "events.jsonl").read_text()
    lines = [json.loads(line) for line in events.splitlines()]
    assert {"train/loss", "train/learning_rate", "eval/accuracy", "eval/loss"} <= {name for name, _, _ in lines}
    assert [step for name, _, step in lines if name == "eval/accuracy"] == [4, 7]
