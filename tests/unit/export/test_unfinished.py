"""An export that was stopped or killed goes on from what it had written, and ends with the same files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core import files
from core.errors import ThawError
from core.export import FORMATS, certificate, checker, exporting, unfinished
from core.export import rows as test_rows
from core.export.finished import Finished
from tests.conftest import Notes

Trained = Callable[..., Finished]


def export(run: Finished, target: Path, form: str = "merged", **options: Any) -> dict[str, Any]:
    return exporting.export(run.folder, target, form=form, settings=run.settings, workspace=run.workspace, **options)


def digests(folder: Path) -> dict[str, str]:
    """Of all files but the certificate, which holds times."""
    return {path.relative_to(folder).as_posix(): files.sha256(path) for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != certificate.FILE}


def test_parts_that_are_whole_are_not_made_again(tmp_path: Path) -> None:
    place, made = tmp_path / "place", list[str]()

    def part(name: str, text: str, opened: unfinished.Unfinished) -> Any:
        def make() -> dict[str, str]:
            made.append(name)
            (opened.files / name).write_text(text)
            return {"of": name}
        return opened.once(name, make)

    with unfinished.opened(place, {"run": "a"}) as opened:
        assert part("one", "1", opened) == {"of": "one"} and part("two", "2", opened) == {"of": "two"}
        (opened.files / "three").write_text("cut o")
    assert unfinished.seen(place) == {"bytes": 7, "written": False}
    with unfinished.opened(place, {"run": "a"}) as opened:
        assert opened.went_on and not (opened.files / "three").exists()
        assert part("one", "1", opened) == {"of": "one"} and made == ["one", "two"]
    (place / "files" / "one").write_text("x")  # its checksum does not fit
    with unfinished.opened(place, {"run": "a"}) as opened:
        assert set(opened.parts) == {"two"} and not (opened.files / "one").exists()
        with pytest.raises(ThawError, match="another process"), unfinished.opened(place, {"run": "a"}):
            pass
    with unfinished.opened(place, {"run": "another"}) as opened:
        assert not opened.went_on and not list(opened.files.iterdir())
    assert not place.exists()  # nothing to go on from
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(600)
def test_one_that_was_stopped_writes_no_file_again(trained: Trained, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    run, target = trained("text", "bert", "lora"), tmp_path / "out"
    with pytest.raises(certificate.Stopped):
        export(run, target, observer=Notes(stop_at=0))
    place = unfinished.beside(target)
    assert not target.exists() and unfinished.seen(place) is not None
    weights = place / "files" / "model.safetensors"
    before = weights.stat()
    monkeypatch.setattr(FORMATS["merged"], "write", lambda run, folder: pytest.fail("written again"))
    report = export(run, target)
    after = (target / "model.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert report["went_on"] and report["certificate"]["passed"] and report["notes"] and not place.exists()


def test_one_that_is_to_begin_afresh_leaves_what_was_written(trained: Trained, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    run, target = trained("text", "bert", "lora"), tmp_path / "out"
    with pytest.raises(certificate.Stopped):
        export(run, target, form="adapter", observer=Notes(stop_at=0))
    with pytest.raises(certificate.Stopped):
        export(run, target, form="adapter", observer=Notes(stop_at=0))
    monkeypatch.setattr(FORMATS["adapter"], "write", lambda run, folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(run, target, form="adapter", afresh=True)
    assert not list(tmp_path.iterdir())  # and of what fails nothing is left


@pytest.mark.timeout(600)
def test_answers_that_came_before_are_not_asked_for_again(trained: Trained, tmp_path: Path) -> None:
    """The planted one is taken as it stands, the line that was cut off is asked for again."""
    run, folder, kept = trained("text", "bert", "lora"), tmp_path / "adapter", tmp_path / "kept"
    folder.mkdir()
    FORMATS["adapter"].write(run, folder)
    rows = test_rows.of_run(run)
    assert rows is not None
    asked = {"form": "adapter", "folder": str(folder), "base": str(run.base_folder), "kept": str(kept)}
    straight = checker.examine(rows.asked, asked)["answers"]
    lines = kept.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(straight) == 18
    kept.write_text("\n".join(["[[0.5, -1.0], 0.25]", *lines[1:5], lines[5][:9]]), encoding="utf-8")
    again = checker.examine(rows.asked, asked)["answers"]
    assert again[0] == [0.5, -1.0] and again[1:] == straight[1:]
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 18


@pytest.mark.timeout(600)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_one_that_was_killed_ends_with_the_same_files(trained: Trained, tmp_path: Path) -> None:
    run, target = trained("text", "bert", "lora"), tmp_path / "killed"
    environment = {**os.environ, "THAW_HOME": str(run.settings.home), "THAW_HUB": "0", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "core", "export", str(run.folder), "--to", str(target), "--as",
                                "merged"], env=environment, cwd=Path(__file__).parents[3], stdout=subprocess.DEVNULL)
    place = unfinished.beside(target)
    while not (unfinished.seen(place) or {}).get("written"):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not target.exists()
    report = export(run, target)
    assert report["went_on"] and report["certificate"]["passed"]
    straight = tmp_path / "straight"
    straight.mkdir()
    FORMATS["merged"].write(run, straight)
    assert digests(target) == digests(straight) and not place.exists()
