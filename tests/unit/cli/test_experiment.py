"""`core experiment`: real tiny runs, their document, and what is not repeated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import __main__ as program
from core.domain.run import Interval
from tests import tiny
from tests.conftest import ready
from tests.unit.cli.test_cli import write_csv


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THAW_HUB", "0")
    texts, names = tiny.make_texts(120)
    data = write_csv(tmp_path / "rows.csv", list(zip(texts, names, strict=True)))
    ready(tmp_path / "home", model := tiny.bert(tmp_path / "bert", layers=2))
    return ["--data", str(data), "--model", str(model), "--effort", "quick", "--out",
            str(tmp_path / "out"), "--json"]


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_a_question_is_answered_by_runs_that_are_made_once(asked: list[str], tmp_path: Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    command = ["experiment", "methods", "--methods", "probe,partial", "--seeds", "2", *asked]
    assert program.main(command) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert "2 arms × 2 seeds = 4 runs" in said.err
    assert document == json.loads((tmp_path / "out" / "experiment.json").read_text(encoding="utf-8"))
    assert {"design", "arms", "comparisons", "answer"} <= set(document) and document["design"] == "methods"
    probe, partial = document["arms"]
    assert probe["seeds"] == [0, 1] == partial["seeds"] and partial["rate"] == 1.0
    for arm in (probe, partial):
        accuracy = Interval(**arm["metrics"]["test"]["accuracy"])
        assert accuracy.low <= accuracy.value <= accuracy.high
        assert set(arm["cost"]) == {"cold_s", "marginal_s", "memory_bytes", "trainable_params"}
        assert arm["cost"]["cold_s"] > 0 and arm["cost"]["trainable_params"] > 0
    comparison, = document["comparisons"]
    assert (comparison["a"], comparison["b"]) == ("probe", "partial") and 0 <= comparison["p_adjusted"] <= 1
    assert comparison["verdict"] in ("better", "worse", "cannot tell") and document["answer"]["sentence"]
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/result.json")}
    assert len(made) == 4 and program.main(command) == 0
    assert "4 of 4 runs are done" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/result.json")} == made
    other = [part if part != "quick" else "normal" for part in command]
    assert program.main(other) == 1
    assert "a run of another recipe" in json.loads(capsys.readouterr().out)["error"]["what"]


def test_what_cannot_be_asked_says_why_before_anything_is_trained(asked: list[str], tmp_path: Path,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    for more, what in ((["shift"], "no rows of another domain"), (["base"], "compares base models"),
                       (["rate", "--rates", "fast"], "not a factor"),
                       (["methods", "--methods", "probe,probe,magic"], "no method"),
                       (["labels", "--budgets", "few"], "not a number of labels")):
        assert program.main(["experiment", *more, *asked]) == 1
        error = json.loads(capsys.readouterr().out)["error"]
        assert what in error["what"] and error["remedy"] and error["kind"] == "data" and not (tmp_path / "out").exists()
