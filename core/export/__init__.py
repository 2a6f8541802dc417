"""A finished run's model, written for use elsewhere. A new format is one file in this folder and one line here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import NotFoundError, ThawError
from core.export.base import Format
from core.settings import Settings

FILES = (
    "adapter",
    "merged",
    "onnx",
)
"""Formats: a file of that name each, with its `FORMAT`."""

FORMATS: dict[str, Format] = {name: import_module(f"{__name__}.{name}").FORMAT for name in FILES}


def export(run_dir: Path, target: Path, *, form: str, settings: Settings, workspace: str) -> dict[str, Any]:
    """Write a run's model into `target`, which must be empty or absent.

    Returns {run, as, folder, files, bytes, notes, …}: paths below `target`, sentences to show, and what the form
    adds. Raises ThawError when
    the folder is in use or the run cannot be written in this form, NotFoundError when it has no artifact.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ThawError(f"{target} exists and is not an empty folder.", why="An export never writes over files.",
                        remedy="Name a new folder.")
    if not (run_dir / "artifact" / "labels.json").is_file():
        raise NotFoundError("This run has no artifact.", why="It did not finish, or failed.",
                            remedy="Resume it first: core resume RUN_DIR.")
    written = FORMATS[form].write(run_dir, target, settings=settings, workspace=workspace)
    files = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    return {"run": run_dir.name, "as": form, "folder": str(target), "files": files,
            "bytes": sum((target / name).stat().st_size for name in files), **written}
