"""Uploads on disk: each in a folder of its own, until its rows are kept or it was left alone for long."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from core.settings import Settings

ORIGIN = "origin.json"
"""Beside what was fetched from the hub: which set it is."""

KEPT_S = 24 * 3600.0
"""Seconds that an upload which nobody looks at stays: long enough to come back to the columns the next morning."""


def folder(settings: Settings, workspace: str) -> Path:
    """Where the uploads of a workspace are."""
    return settings.workspace(workspace) / "uploads"


def look_at(path: Path) -> None:
    """Note that somebody is working with an upload, so that `sweep` leaves it; a path that is gone is no error."""
    try:
        os.utime(path.parent)
    except OSError:
        return


def discard(path: Path, home: Path) -> None:
    """Remove an upload with its folder; a path outside of `home` is a person's own file and stays."""
    if path.resolve().parent.parent == home.resolve():
        shutil.rmtree(path.resolve().parent, ignore_errors=True)


def write_origin(path: Path, hub_set: Mapping[str, str | None]) -> None:
    """Note beside a fetched file or folder which hub set it is: {id, configuration, split}."""
    (path.parent / ORIGIN).write_text(json.dumps(dict(hub_set)), encoding="utf-8")


def origin(path: Path) -> dict[str, Any] | None:
    """The hub set that an upload was fetched as; None for a person's own file."""
    note = path.parent / ORIGIN
    if path.name == ORIGIN or not note.is_file():
        return None
    try:
        return dict(json.loads(note.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):  # damaged: it is read as any other upload
        return None


def limits(path: Path, settings: Settings) -> Settings:
    """The settings to read an upload with: a hub set was held to `max_rows` when it was fetched."""
    if origin(path) is None:
        return settings
    return dataclasses.replace(settings, max_upload_mb=1_000_000, max_archive_files=2 * settings.max_rows + 10)


def sweep(settings: Settings, *, in_use: Collection[str | Path] = (), older_than_s: float = KEPT_S) -> int:
    """Remove uploads of all workspaces that were last looked at more than `older_than_s` ago; returns how many.

    in_use: paths that waiting or running imports read; the uploads that hold them stay, whatever their age. Nothing
    outside the `uploads` folders is touched, and links are not followed.
    """
    before, removed = time.time() - older_than_s, 0
    needed = {Path(path).absolute() for path in in_use}
    for place in (settings.home / "workspaces").glob("*/uploads/*"):
        held = any(path == place.absolute() or place.absolute() in path.parents for path in needed)
        if held or place.is_symlink() or _touched(place) > before:
            continue
        shutil.rmtree(place, ignore_errors=True)
        if place.is_file():
            place.unlink(missing_ok=True)
        removed += not place.exists()
    return removed


def _touched(place: Path) -> float:
    """Unix time of the newest sign of life; now, when it vanishes meanwhile."""
    try:
        return max(entry.stat().st_mtime for entry in (place, *(place.iterdir() if place.is_dir() else ())))
    except OSError:
        return time.time()
