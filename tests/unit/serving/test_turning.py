"""A setting between the stops is measured by the model that stays loaded: the numbers of the worker, blocks below the
first turned one computed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.analysis import strength_files
from core.domain.dataset import Dataset
from core.domain.freeze import FreezePlan
from core.domain.strength import Dial, HeadRule
from core.errors import RecipeError
from core.serving.question import Setting, State, Turnable
from core.serving.server import ModelServer
from core.settings import Settings
from core.training import strength_curve
from tests.conftest import WORKSPACE, Notes
from tests.unit.training.test_strength import trained


def test_a_setting_is_measured_at_once_and_the_model_stays(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                           tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = FreezePlan(frozen=("embeddings", "block 0", "block 1"))
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="partial", freeze=plan)
    server = ModelServer(settings)
    monkeypatch.setattr(server.shelf, "_budget", lambda held: 10**9)  # whatever else runs on this machine
    side = Turnable(run=str(folder), workspace=WORKSPACE)

    def measured(value: float) -> State:
        task = server.task(server.measure(Setting(side=side, dial=Dial.STRENGTH, head=HeadRule.FOLLOWS, value=value)))
        while server.turns.step():
            pass
        assert task.answers[0].error is None
        return task.answers[0].state

    assert measured(0.6) is State.DONE
    (held,) = server.shelf.sides
    kept = server.shelf.take(held)
    assert held == side and kept.bench.kept_bytes > 0
    assert any("computed once" in note for note in kept.notes)
    assert measured(0.7) is State.DONE and measured(1.0) is State.DONE
    assert server.shelf.take(side) is kept
    found = strength_files.read(folder)
    live = found.find(Dial.STRENGTH, (), HeadRule.FOLLOWS)
    assert [point.at for point in live.points] == [0.6, 0.7, 1.0]
    strength_files.forget(folder)
    worker = strength_curve.measure({"run": str(folder), "values": [0.6, 0.7, 1.0]}, settings=settings,
                                    workspace=WORKSPACE, observer=Notes())
    assert worker.find(Dial.STRENGTH, (), HeadRule.FOLLOWS) == live
    with pytest.raises(RecipeError, match="no model at strength 7"):
        server.measure(Setting(side=side, dial=Dial.STRENGTH, head=HeadRule.FOLLOWS, value=7.0))
