"""Where the exports of a run that pages ask for lie, and what is known of them; no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core import files
from core.export import unfinished as unfinished_module

ROOM = "exports"
"""Below the run's folder: a folder a format."""
CERTIFICATE = "certificate.json"


def folder(run_dir: Path, form: str, strength: str = "") -> Path:
    """Of one format; at the saved setting of that name, or as trained."""
    return run_dir / ROOM / (f"{form}@{strength}" if strength else form)


def unfinished(run_dir: Path, form: str, strength: str = "") -> Path:
    """What was written of it when it was stopped or killed."""
    return unfinished_module.beside(folder(run_dir, form, strength))


def notes(target: Path) -> Path:
    """What its user should know, beside it."""
    return target.with_name(f"{target.name}.json")


def found(run_dir: Path, form: str, strength: str = "") -> dict[str, Any] | None:
    """{"certificate": None of a document, "notes", "bytes", "made"} of an export that is whole; None without one."""
    there = folder(run_dir, form, strength)
    if not there.is_dir() or not (said := _read(notes(there))):
        return None
    paths = list(inside(there))
    return {"certificate": _read(there / CERTIFICATE) or None, "notes": said.get("notes", []),
            "bytes": sum(path.stat().st_size for path in paths), "made": there.stat().st_mtime}


def inside(there: Path) -> Iterator[Path]:
    """Its files."""
    return (path for path in sorted(there.rglob("*")) if path.is_file() and not path.is_symlink())


def _read(path: Path) -> dict[str, Any]:
    try:
        data = files.read_json(path)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
