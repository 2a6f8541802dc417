"""`core lesson`: listed, measured with a real tiny model, stored where Thaw looks for it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from core import __main__ as program
from core import lessons
from core.lessons import Expected
from tests import tiny
from tests.conftest import ready
from tests.unit.cli.test_cli import write_csv


def test_all_lessons_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path,
                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "home"))
    assert program.main(["lesson", "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == list(lessons.REGISTRY)
    assert program.main(["lesson", "transfer"]) == 1
    assert "no folder for the runs" in capsys.readouterr().err


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_a_lesson_is_measured_and_its_result_stored(capsys: pytest.CaptureFixture[str], tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THAW_HUB", "0")
    texts, names = tiny.make_texts(120)
    ready(tmp_path / "home", model := tiny.bert(tmp_path / "bert", layers=2))
    own = dataclasses.replace(
        lessons.get("transfer"), dataset=str(write_csv(tmp_path / "rows.csv", list(zip(texts, names, strict=True)))),
        model=str(model), choices={"methods": ("probe", "partial")},
        expects=(Expected(a="probe", b="partial", relation="alike"),))
    monkeypatch.setitem(lessons.REGISTRY, "transfer", own)
    monkeypatch.setattr(lessons, "STORED", tmp_path / "stored")
    (tmp_path / "stored").mkdir()
    lessons.stored.cache_clear()
    try:
        command = ["lesson", "transfer", "--seeds", "1", "--out", str(tmp_path / "out"), "--store", "--json"]
        assert program.main(command) == 0
        document = json.loads(capsys.readouterr().out)
        assert lessons.stored("transfer") == document
        assert document == json.loads((tmp_path / "out" / "lesson.json").read_text(encoding="utf-8"))
    finally:
        lessons.stored.cache_clear()
    assert [arm["name"] for arm in document["report"]["arms"]] == ["probe", "partial"]
    [held] = document["held"]
    assert held["relation"] == "alike" and held["verdict"] in ("cannot tell", "disagrees")
    assert document["made"]["seconds"] > 0 and document["made"]["versions"]["torch"]
    assert document["sentence"]
