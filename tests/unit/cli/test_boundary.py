"""Whatever a command raises is told in three parts, with the log that has the traceback; exit status 1, no traceback on
screen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core import __main__ as program
from core import logs
from core.cli import compare, predict
from core.cli import data as data_command
from core.errors import DataError
from core.settings import Settings
from core.store import Store
from tests import tiny

ROOT = Path(__file__).resolve().parents[3]
ARGUMENTS: dict[str, list[str]] = {
    "data_check": ["data", "check", "x.csv"], "compare": ["compare", "--data", "x", "--model", "m", "--out", "o"],
    "data_mend": ["data", "mend", "d", "--do", "x"], "data_undo": ["data", "undo", "d"],
    "data_make_shift": ["data", "make-shift", "d", "--kind", "typos"],
    "example_make": ["example", "make"], "shift": ["shift", "run"],
    "predict": ["predict", "run", "--input", "x"], "export": ["export", "run", "--to", "t", "--as", "merged"],
    "try": ["try", "--data", "x", "--model", "m"], "runs": ["runs"],
    "experiment": ["experiment", "methods", "--data", "f", "--model", "m", "--out", "o"],
    "lesson": ["lesson", "transfer", "--out", "o"],
    "advise": ["advise", "--data", "f", "--model", "m"], "table": ["table", "--out", "o"],
    "strength": ["strength", "run"], "serve": ["serve", "run"], "share": ["share", "run", "--to", "f"],
    "import_archive": ["import-archive", "f"], "resume": ["resume", "run"], "stop": ["stop", "run"],
    "first": ["first", "run"],
    "supervise": ["supervise"], "doctor": ["doctor"]}


class Unforeseen(Exception):
    """What nobody thought of."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THAW_HUB", "0")
    return tmp_path / "home"


def bursting(*args: Any, **kwargs: Any) -> Any:
    raise Unforeseen("a pipe burst\nin the cellar")


def assert_told(argv: list[str], capsys: pytest.CaptureFixture[str], log: Path,
                *, says: str = "Unforeseen: a pipe burst") -> None:
    """The command fails in three parts, on screen and as JSON, and the log has the traceback."""
    capsys.readouterr()
    assert program.main(argv) == 1
    said = capsys.readouterr()
    assert all(part in said.err for part in ("Error: ", "  Why: ", "  What to do: ", says, str(log)))
    assert "Traceback" not in said.err + said.out and ".py" not in said.err + said.out
    assert "Traceback (most recent call last)" in log.read_text(encoding="utf-8")
    assert program.main([*argv, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert set(document["error"]) == {"kind", "what", "why", "remedy"} and all(document["error"].values())


def test_every_command_is_tried() -> None:
    assert set(ARGUMENTS) == set(program.HANDLERS)


@pytest.mark.parametrize("command", ARGUMENTS)
def test_an_exception_of_any_command(command: str, home: Path, capsys: pytest.CaptureFixture[str],
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    module, _, function = program.HANDLERS[command].partition(":")
    monkeypatch.setattr(importlib.import_module(module), function, bursting)
    assert_told(ARGUMENTS[command], capsys, home / "logs" / "command.log")
    assert f"core {' '.join(ARGUMENTS[command])}" in (home / "logs" / "command.log").read_text(encoding="utf-8")


def test_an_exception_before_the_command(home: Path, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings that cannot be read: there is no data folder to write to."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(program.settings_module, "load", bursting)
    assert_told(["runs"], capsys, tmp_path / "thaw" / "logs" / "command.log")


@pytest.mark.parametrize("place", ["read", "check", "print", "log"])
def test_an_exception_inside_a_command(place: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the arguments and the result of one command, at each step; also where the log itself cannot be
    written."""
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"words {i},{'ab'[i % 2]}\n" for i in range(20)))
    target = {"read": "core.data.tables.read", "check": "core.data.check.examine", "print": "core.cli.data._print",
              "log": "core.data.tables.read"}
    monkeypatch.setattr(target[place], bursting)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    log = home / "logs" / "command.log"
    if place == "log":
        home.mkdir()
        (home / "logs").write_text("a file where a folder should be")
        log = tmp_path / "thaw" / "logs" / "command.log"
    if place == "print":
        assert program.main(["data", "check", str(path)]) == 1
        said = capsys.readouterr()
        assert ("Why: An unexpected Unforeseen: a pipe burst" in said.err and str(log) in said.err and "Traceback"
                not in said.err)
    else:
        assert_told(["data", "check", str(path)], capsys, log)


@pytest.mark.parametrize("target",
                         ["core.cli.predict.new_rows", "core.data.new_rows.read", "core.training.artifact.load"])
def test_an_exception_while_predicting(target: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run")
    (tmp_path / "new.csv").write_text("text\nsome words\nand others\n")
    monkeypatch.setattr(target, bursting)
    assert_told(["predict", str(run), "--input", str(tmp_path / "new.csv")], capsys, home / "logs" / "command.log")


def test_a_folder_that_may_not_be_written_is_named(home: Path, capsys: pytest.CaptureFixture[str],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: Any) -> int:
        raise PermissionError(13, "Permission denied", "/somewhere/out")

    monkeypatch.setattr(compare, "run", forbidden)
    assert program.main(ARGUMENTS["compare"]) == 1
    said = capsys.readouterr().err
    assert ("Error: /somewhere/out cannot be used." in said and "Permission denied" in said and "fault in Thaw"
            not in said)


@pytest.mark.parametrize(("error", "words"),
                         [(MemoryError(), "more memory"), (OSError(28, "No space left on device"), "disk is full")])
def test_what_is_known_is_said(error: Exception, words: str, home: Path, capsys: pytest.CaptureFixture[str],
                               monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: Any) -> int:
        raise error

    monkeypatch.setattr(data_command, "check", failing)
    assert program.main(["data", "check", "x"]) == 1
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '{"task": "cooking"}', "\x00"])
def test_a_damaged_recipe_is_named(content: str, home: Path, tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run")
    (run / "recipe.json").write_text(content)
    (run / "artifact").mkdir()
    (run / "artifact" / "labels.json").write_text('{"classes": ["a", "b"], "precision": "fp32"}')
    for argv in (["predict", str(run), "--input", "a text"],
                 ["export", str(run), "--to", str(tmp_path / "t"), "--as", "adapter"]):
        assert program.main(argv) == 1
        said = capsys.readouterr().err
        assert f"{run / 'recipe.json'} cannot be read" in said and "fault in Thaw" not in said


def test_a_run_names_its_log(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run's own process: an error in three parts, and an exception that nobody foresaw."""
    run = write_run(tmp_path / "run")
    assert program.main(["resume", str(run), "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert "no/such/model" in error["what"] and error["why"] and error["remedy"]
    recipe = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
    (run / "recipe.json").write_text(json.dumps(recipe | {"base_model": 5}), encoding="utf-8")
    Store(Settings(home=home)).database.execute("DELETE FROM jobs")  # of a comparison of another data folder
    assert program.main(["resume", str(run), "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert logs.WORKER in error["why"] + error["remedy"]
    for log in (run / "log.txt", home / logs.WORKER):
        assert "Traceback" in log.read_text(encoding="utf-8")


def test_a_reader_that_goes_away_and_a_terminal_of_few_characters(tmp_path: Path) -> None:
    """`core … | head -1` and a terminal that knows only ASCII: neither is an error of three parts, nor a traceback."""
    path = tmp_path / "rows.csv"
    texts, labels = tiny.make_texts(60)
    path.write_text("text,label\n" + "".join(f"{text} …,{label}→\n" for text, label in zip(texts, labels, strict=True)),
                    encoding="utf-8")
    environment = {**os.environ, "THAW_HOME": str(tmp_path / "home"), "THAW_HUB": "0", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "core", "data", "check", str(path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0 and b"?" in done.stdout and b"Traceback" not in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=gone, stderr=subprocess.PIPE, timeout=120,
                              check=False)
    assert done.returncode == 1 and b"Traceback" not in done.stderr and b"BrokenPipe" not in done.stderr


@pytest.mark.parametrize("name", ["missing.csv", "./no such file.png", "pictures.zip", "  "])
def test_a_file_that_is_not_there_is_not_taken_for_a_text(name: str, tmp_path: Path, home: Path) -> None:
    run = write_run(tmp_path / "run")
    with pytest.raises(DataError) as caught:
        predict.new_rows(name, run, text=None, settings=Settings(home=home, hub=False), workspace="cli")
    assert caught.value.why and caught.value.remedy
    assert predict.new_rows("see missing.csv", run, text=None, settings=Settings(home=home, hub=False),
                        workspace="cli").content == [
                            "see missing.csv"]


def write_run(folder: Path) -> Path:
    """A run's folder that did not get so far as to leave anything."""
    from core.domain.dataset import Task
    from core.domain.recipe import Recipe

    folder.mkdir()
    recipe = Recipe(dataset="0" * 16, base_model="/no/such/model", method="probe", task=Task.TEXT_CLASSIFICATION)
    (folder / "recipe.json").write_text(json.dumps(recipe.to_json()), encoding="utf-8")
    return folder

