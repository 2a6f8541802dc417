"""`core share`: runs and experiments become files; what cannot be shared is said in three parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.__main__ import main
from core.api import Thaw
from core.settings import Settings
from tests.conftest import WORKSPACE, write_dataset
from tests.ui.conftest import Ended, put_runs


@pytest.fixture
def ended(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Ended:
    monkeypatch.setenv("THAW_HOME", str(settings.home))
    return put_runs(settings, write_dataset(settings, n_rows=90))


def share(*args: str | Path) -> int:
    return main(["share", *map(str, args), "--workspace", WORKSPACE, "--json"])


def test_an_experiment_and_a_run_folder_become_reports(settings: Settings, ended: Ended, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    thaw = Thaw(settings)
    experiment = thaw.experiments.all(WORKSPACE)[0].id
    assert share(experiment, "--to", tmp_path / "all.html", "--without-rows") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["runs"] == [*ended.done, ended.failed] and made["rows"] is False and made["as"] == "report"
    assert made["bytes"] == (tmp_path / "all.html").stat().st_size
    folder = Path(thaw.runs.get(WORKSPACE, ended.done[0]).folder)
    (folder / "recipe.json").write_text("{}")
    assert main(["share", str(folder), "--to", str(tmp_path / "one.html"), "--json"]) == 0  # of whatever workspace
    made = json.loads(capsys.readouterr().out)
    assert made["runs"] == [ended.done[0]] and made["rows"] is True
    assert b"<h1>Tiny, MiniLM" in (tmp_path / "one.html").read_bytes()


def test_what_is_not_here_is_said_in_three_parts(ended: Ended, tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{}")
    for named in ("nothing", tmp_path / "run", ended.failed):
        assert share(named, "--to", tmp_path / "x.html") == 1
        error = json.loads(capsys.readouterr().out)["error"]
        assert error["what"] and error["why"] and error["remedy"]
    assert not (tmp_path / "x.html").exists()


def test_an_archive_is_written_and_taken_in(settings: Settings, ended: Ended, tmp_path: Path,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    assert share(*ended.done, "--as", "archive", "--without-rows", "--to", tmp_path / "a.zip") == 0
    assert json.loads(capsys.readouterr().out)["as"] == "archive"
    take_in = ["import-archive", str(tmp_path / "a.zip"), "--workspace", "another-workspace"]
    assert main([*take_in, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert len(made["runs"]) == 2 and made["title"] == "Tiny, MiniLM"
    assert all("is not in this workspace" in said[0] for said in made["missing"].values())
    assert Thaw(settings).runs.get("another-workspace", made["runs"][0]).imported
    assert main(take_in) == 1 and "imported before" in capsys.readouterr().err
    assert main(["import-archive", str(tmp_path / "none.zip")]) == 1
