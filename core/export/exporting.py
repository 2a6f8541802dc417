"""Write a finished run's model in one format, with its certificate: what the command, the job and the tests call."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import files
from core.analysis import strength_files
from core.domain.run import Observer, Phase
from core.errors import FailureKind, NotFoundError, ThawError
from core.export import FORMATS, certificate, requirements, turned, unfinished
from core.export.base import Format
from core.export.finished import Finished
from core.export.unfinished import Unfinished
from core.models.untrusted import json_object
from core.settings import Settings

SPARE_BYTES = 100_000_000
"""Room that is left on the disk beside an export."""
MADE_BY = ("torch", "transformers", "peft", "bitsandbytes", "onnx", "onnxscript", "gguf")
UNFINISHED = 1


def export(run_dir: Path, target: Path, *, form: str, settings: Settings, workspace: str, title: str = "",
           strength: str = "", observer: Observer | None = None, place: Path | None = None,
           afresh: bool = False) -> dict[str, Any]:
    """Write a run's model into `target`, which must be empty or absent, and check it in a process without Thaw.

    Returns {run, as, folder, files, bytes, notes, certificate, went_on, …}: paths below `target`, sentences to show,
    what the format adds, the certificate (None of a document), and whether files of an attempt that was stopped or
    killed were taken as they were. The folder appears whole or not at all.

    strength: a number or the name of a saved setting; empty as trained. place: where what is unfinished lies; beside
    `target` unless it is told. afresh: leave what an earlier attempt wrote.

    Raises ThawError when the folder is in use, the run cannot be written so, or the disk is too small; NotFoundError
    when the run has no artifact; `certificate.Stopped` when a person asks the observer to stop.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ThawError(f"{target} exists and is not an empty folder.", why="An export never writes over files.",
                        remedy="Name a new folder.")
    if not (run_dir / "artifact" / "labels.json").is_file():
        raise NotFoundError("This run has no artifact.", why="It did not finish, or failed.",
                            remedy="Resume it first (on the command line: python -m core resume RUN_DIR).")
    plain = Finished(folder=run_dir, settings=settings, workspace=workspace, observer=observer, title=title)
    place = place or unfinished.beside(target)
    if afresh:
        unfinished.remove(place)
    check(FORMATS[form], plain, target, there=(unfinished.seen(place) or {"bytes": 0})["bytes"])
    with turned.at(plain, strength, form=form) as run, unfinished.opened(place, _key(run, run_dir, form)) as under_way:
        run.unfinished = under_way
        return _written(run, target, form, under_way)


def _key(run: Finished, run_dir: Path, form: str) -> dict[str, Any]:
    """What an attempt must have in common with an earlier one to go on from it."""
    side = getattr(run, "side", None)
    artifact = {path.relative_to(run_dir).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns]
                for path in sorted((run_dir / "artifact").rglob("*")) if path.is_file()}
    return {"run": run_dir.name, "form": form, "title": run.title, "strength": run.strength, "artifact": artifact,
            "turn": asdict(strength_files.turn_of(side)) if side is not None else None,
            "versions": requirements.versions(MADE_BY), "schema_version": UNFINISHED}


def _written(run: Finished, target: Path, form: str, under_way: Unfinished) -> dict[str, Any]:
    """Write and check; what lies in `target` then is whole."""
    format, folder = FORMATS[form], under_way.files

    def write() -> dict[str, Any]:
        said = format.write(run, folder)
        run.describe(folder)
        return said

    if under_way.went_on:
        run.note("Goes on with the files of an attempt that was cut off.")
    if run.observer is not None:
        run.observer.phase(Phase.SAVING)
    written = under_way.once(unfinished.WRITTEN, write)
    if run.stopped():
        raise certificate.Stopped
    if run.observer is not None:
        run.observer.phase(Phase.EVALUATING)
    found = None if format.tolerance is None else certificate.write(format, folder, run, place=under_way.asked)
    folder.chmod(0o755)
    if target.is_dir():
        target.rmdir()
    target.parent.mkdir(parents=True, exist_ok=True)
    files.move(folder, target)
    return _report(run.folder, target, form, found) | written | {"went_on": under_way.went_on}


def there(run_dir: Path, target: Path, *, form: str, strength: str = "") -> dict[str, Any] | None:
    """The report of an export of this run that lies in `target` as it was checked; None where none does."""
    found = json_object(target / certificate.FILE)
    said = (found.get("run"), found.get("format"), found.get("bytes"), found.get("strength", ""))
    same = said == (run_dir.name, form, certificate.size(target), strength)
    return _report(run_dir, target, form, found) | {"notes": []} if found and same else None


def _report(run_dir: Path, target: Path, form: str, found: dict[str, Any] | None) -> dict[str, Any]:
    names = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    return {"run": run_dir.name, "as": form, "folder": str(target), "files": names,
            "bytes": sum((target / name).stat().st_size for name in names), "certificate": found}


def check(format: Format, run: Finished, target: Path, *, there: int = 0) -> None:
    """Raises ThawError where a run cannot be written in this format, or there is no room for what is not there yet
    (bytes)."""
    if reason := format.applies_to(run.recipe, run.facts):
        raise ThawError(f"This run cannot be written as {format.name}.", why=reason,
                        remedy=f"Choose another format: {', '.join(_others(format, run))}.")
    needed = format.size_bytes(run.recipe, run.facts, files.size_bytes(run.folder / "artifact")) + SPARE_BYTES
    needed = max(SPARE_BYTES, needed - there)
    near = next(folder for folder in (target, *target.parents) if folder.is_dir())
    if (free := shutil.disk_usage(near).free) < needed:
        raise ThawError("There is no room for this export.", kind=FailureKind.INTERRUPTED,
                        why=f"It takes about {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free in {near}.",
                        remedy="Free space, name a folder on another disk, or choose a smaller format (adapter).")


def _others(format: Format, run: Finished) -> list[str]:
    return [name for name, other in FORMATS.items()
            if name != format.name and other.applies_to(run.recipe, run.facts) is None]
