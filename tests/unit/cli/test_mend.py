"""`core data mend` and `core data undo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core import __main__ as program
from core.cli import sources
from core.settings import Settings
from tests import tiny


@pytest.fixture
def leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Id of a dataset in which four training rows are test rows, too."""
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "home"))
    rows = [(text, label, ("train", "train", "test")[i % 3])
            for i, (text, label) in enumerate(zip(*tiny.make_texts(90), strict=True))]
    rows += [(text, label, "test") for text, label, split in rows if split == "train"][:4]
    path = tmp_path / "leaky.csv"
    path.write_text("text,label,split\n" + "".join(",".join(row) + "\n" for row in rows))
    return sources.dataset(str(path), shift=None, settings=Settings(home=tmp_path / "home"),
                           workspace="cli").id


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert program.main(["data", *argv, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_a_mend_says_what_changed_and_is_undone(leaky: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    planned = run(capsys, "mend", leaky, "--do", "drop-leaks", "--dry-run")
    assert (planned["dataset"], planned["rows_before"], planned["rows_after"]) == (leaky, 94, 90)
    done = run(capsys, "mend", leaky, "--do", "drop-leaks:leakage", "--drop-rows", "1,2")
    assert done["dropped"] == {"a twin of it is on an earlier side of the split": 4, "dropped by hand": 2}
    report = run(capsys, "check", done["dataset"])
    assert report["rows_read"] == report["rows_kept"] + len(report["left_out"]) == 94 and report["rows_kept"] == 88
    assert {"leakage", "near-leakage"}.isdisjoint(finding["code"] for finding in report["findings"])
    assert run(capsys, "undo", done["dataset"]) == {"dataset": leaky, "rows_kept": 94}
    assert program.main(["data", "mend", leaky, "--do", "merge-labels"]) == 1
    assert "Nothing was found that merge-labels is an answer to" in capsys.readouterr().err
    assert program.main(["data", "mend", leaky]) == 1 and program.main(["data", "undo", leaky]) == 1
    assert "There is nothing to undo" in capsys.readouterr().err


def test_a_mend_is_printed_for_people(leaky: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["data", "mend", leaky, "--do", "move-leaks"]) == 0
    said = capsys.readouterr().out
    assert "94 rows before, 94 after\n  4 moved to another split" in said and "core data undo" in said


def test_a_file_is_checked_as_a_shift_set(leaky: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts, labels = tiny.make_texts(90)
    path = tmp_path / "other.csv"
    rows = [("something else", labels[0]), (texts[0], labels[0]), ("of another kind", "unheard of")]
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    capsys.readouterr()
    report = run(capsys, "check", str(path), "--shift-of", leaky)
    assert (report["rows_read"], report["rows_kept"]) == (3, 2)
    found = {finding["code"]: finding["count"] for finding in report["findings"]}
    assert found == {"shift-set": 2, "shift-few-rows": 2, "shift-missing-classes": len(set(labels)) - 1,
                     "shift-leakage": 1, "shift-unmatched": 1}
