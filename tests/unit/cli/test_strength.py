"""`core strength` and `predict --strength`: the same curve and the same side as the pages have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import __main__ as program
from core.domain.dataset import Dataset
from core.settings import Settings
from core.training import strength_curve
from tests.conftest import WORKSPACE, Notes
from tests.unit.training.test_strength import trained


def test_the_curve_is_printed_and_a_saved_setting_predicts(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                          tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("THAW_HOME", str(settings.home))
    monkeypatch.setenv("THAW_HUB", "0")
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="lora")
    strength_curve.measure({"run": str(folder), "values": [0, 0.5, 1]}, settings=settings, workspace=WORKSPACE,
                           observer=Notes())

    def said(*args: str, status: int = 0) -> dict[str, object]:
        assert program.main([*args, "--workspace", WORKSPACE, "--json"]) == status
        return dict(json.loads(capsys.readouterr().out))

    found = said("strength", str(folder))
    assert found["dial"] == "strength" and [point["at"] for point in found["points"]] == [0.0, 0.5, 1.0]
    assert found["samples"]["test"]["rows"] == 18 and found["said"] and found["chosen"] in (0.0, 0.5, 1.0)
    assert program.main(["strength", str(folder), "--workspace", WORKSPACE]) == 0
    assert "validation rows (accuracy)" in capsys.readouterr().out
    said("strength", str(folder), "--save", "careful", "--at", "0.5")
    text = ["predict", str(folder), "--input", "the goal of the match", "--strength"]
    by_name, by_number, base = said(*text, "careful"), said(*text, "0.5"), said(*text, "0")
    assert by_name["predictions"] == by_number["predictions"] != said(*text, "1")["predictions"]
    assert by_number["strength"] == 0.5 and by_name["strength"] == "careful"
    assert base["predictions"] == said("predict", str(folder), "--input", "the goal of the match",
                                       "--base")["predictions"]
    assert "no model at strength 7" in said(*text, "7", status=1)["error"]["what"]
    assert "no saved strength" in said(*text, "loud", status=1)["error"]["what"]
    assert "has no strength" in said(*text, "0.5", "--base", status=1)["error"]["what"]
    assert "no setting to save" in said("strength", str(folder), "--save", "x", status=1)["error"]["what"]
