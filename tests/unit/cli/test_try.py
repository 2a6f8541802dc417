"""`core try`: one real step a method, by a worker of the queue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import __main__ as program
from tests import tiny


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THAW_HUB", "0")
    return tmp_path / "home"


@pytest.fixture
def asked(home: Path, tmp_path: Path) -> list[str]:
    texts, _ = tiny.make_texts(40)
    data = tmp_path / "rows.csv"
    data.write_text("text\n" + "\n".join(texts), encoding="utf-8")
    return ["try", "--data", str(data), "--task", "language",
            "--model", str(tiny.language("llama", tmp_path / "causal")), "--length", "32", "--batch", "2"]


@pytest.mark.timeout(900)
def test_a_step_of_each_method_that_takes_steps(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([*asked, "--methods", "lora,probe", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    step, = document["steps"]
    assert step["method"] == "lora" and step["failure"] is None and step["rows"] == 2
    assert step["recipe"]["max_length"] == 32 and step["taught"] > 0
    assert step["peak_memory_bytes"] > 0 and step["estimated_memory_bytes"] > 0
    assert step["seconds"] > step["training_seconds"] > 0 and step["step_seconds"] > 0
    assert document["left_out"] == [{"method": "probe", "reason": "it is not trained step by step"}]
    assert program.main(["runs", "--json"]) == 0
    assert "train" not in [job["kind"] for job in json.loads(capsys.readouterr().out)["runs"]]


def test_nothing_to_try_says_so(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([*asked, "--methods", "probe", "--json"]) == 1
    assert "no step to try" in json.loads(capsys.readouterr().out)["error"]["what"]
