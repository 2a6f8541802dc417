"""`core table`: a set measured with a real tiny model and stored where advice looks; `core advise` on it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from core import __main__ as program
from core import advice
from core.advice import results
from core.cli import table
from core.data.catalogue import DATASETS
from core.models.catalogue import MODELS
from tests import tiny
from tests.conftest import ready
from tests.unit.advice.test_rule import FEW, MANY, setting
from tests.unit.cli.test_cli import write_csv


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THAW_HUB", "0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_a_set_is_measured_stored_and_advised_from(place: Path, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    texts, names = tiny.make_texts(120)
    write_csv(place / "rows.csv", list(zip(texts, names, strict=True)))
    model = str(tiny.bert(place / "bert", layers=2))
    ready(place / "home", Path(model))
    monkeypatch.setattr(table, "DATASETS", (dataclasses.replace(DATASETS[0], id="rows.csv", name="Rows"),))
    monkeypatch.setattr(table, "MODELS", (dataclasses.replace(MODELS[0], id=model),))
    monkeypatch.setattr(advice, "STORED", place / "stored")
    monkeypatch.setattr(results, "STORED", place / "stored")
    monkeypatch.setattr(results, "of_lesson", lambda name: None)
    (place / "stored").mkdir()
    results.stored.cache_clear()
    try:
        command = ["table", "--methods", "probe,partial", "--seeds", "1", "--rates", "1", "--budget", "60", "--out",
                   "out"]
        assert program.main([*command, "--store"]) == 0
        [found] = advice.stored()
        assert {arm.method for arm in found.arms} == {"probe", "partial"} and found.situation.labels == 60
        assert found.made["versions"]["torch"] and all(arm.seconds > 0 for arm in found.arms)
        capsys.readouterr()
        assert program.main(["advise", "--data", "rows.csv", "--model", model, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["recommended"]["method"] in ("probe", "partial")
        assert said["recommended"]["ground"] == "Thaw's measurements on its bundled sets"
        assert [each["dataset"] for each in said["sets"]] == ["rows.csv"] and said["sets"][0]["weight"] == 1
        assert said["settle"]["runs"] == len(said["settle"]["methods"]) * said["settle"]["seeds"]
        assert program.main(["advise", "--data", "rows.csv", "--text", "text", "--model", model]) == 0
        command = capsys.readouterr().out.splitlines()[-1]
        assert re.search(r"--data [0-9a-f]{16} --model .* --out DIR$", command), "without the flags that named columns"
    finally:
        results.stored.cache_clear()


def test_only_bundled_sets_with_labels_are_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["table", "--data", "tales", "--out", "out"]) == 1
    assert "no bundled set 'tales' with labels" in capsys.readouterr().err


def test_how_often_advice_is_right_is_printed(place: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(advice, "stored", lambda: (setting("a", FEW, labels=50), setting("b", FEW, labels=60),
                                                   setting("c", MANY, labels=2000)))
    assert program.main(["advise", "--score"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("the advisor: within noise of the best on 2 of 3 sets, on average 3.3 points behind it")
    assert any(line.startswith("always Linear probe: within noise of the best on 2 of 3") for line in lines)
    assert lines[-1].startswith("What the advisor chose: a: ")
    assert program.main(["advise", "--score", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3 * 5


def test_nothing_named_says_what_to_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["advise"]) == 1
    assert "--data and --model" in capsys.readouterr().err
