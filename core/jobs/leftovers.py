"""What processes that were killed left half-written: swept when a supervisor starts, and every hour."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from core.files import DELETED_PREFIX, is_temporary
from core.settings import Settings
from core.store.queue import Claim

log = logging.getLogger("thaw.supervisor")

QUIET_S = 900.0
"""What has a temporary name and was not written to for so long is nobody's: the living finish or go on writing."""
OLD_S = 24 * 3600.0
"""The same for folders in the system's temporary folder, which are read for longer than they are written."""
_SCRATCH = "thaw-"
"""Begins the names of folders in the system's temporary folder."""


def scratch(settings: Settings, claim: Claim) -> Path:
    """The temporary folder of one worker: whose it is can be told from its name, also after the worker was killed."""
    return settings.home / "tmp" / f"{claim.run.id}-{claim.fence}"


def sweep(settings: Settings, *, active: Collection[Claim] = (), quiet_s: float = QUIET_S) -> int:
    """Remove leftovers; returns how many. active: all claims; what their workers write to is left alone."""
    working = {Path(claim.run.folder) for claim in active}
    scratches = {scratch(settings, claim) for claim in active}
    found = [place for place in _entries(settings.home / "tmp") if place not in scratches]
    found += [*settings.home.glob(f"workspaces/*/*/{DELETED_PREFIX}*")]
    before = time.time() - quiet_s
    for folder in settings.home.glob("workspaces/*/runs/*"):
        if folder not in working:
            found += [place for place in temporary(folder) if _written(place) < before]
    for folder in (*settings.home.glob("workspaces/*/datasets"), settings.assets, settings.cache):
        found += [place for place in temporary(folder) if _written(place) < before]
    found += [place for place in _in_system_folder() if _written(place) < time.time() - OLD_S]
    for place in found:
        remove(place)
    if found:
        log.info("Removed %d temporary files and folders that were left behind", len(found))
    return len(found)


def clear(folder: Path) -> None:
    """Remove temporary files below the folder that a worker is about to use: an earlier attempt did not finish them."""
    for place in temporary(folder):
        remove(place)


def temporary(folder: Path) -> Iterator[Path]:
    """Files and folders below it that were not renamed to their name."""
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent, name) for name in folders if is_temporary(name, folder=True))
        folders[:] = [name for name in folders if not is_temporary(name, folder=True)]
        yield from (Path(parent, name) for name in names if is_temporary(name))


def remove(place: Path) -> None:
    """Delete a file, link or folder; what cannot be deleted stays, with a line in the log."""
    try:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be removed: %s", place, error)


def _in_system_folder() -> Iterator[Path]:
    """Our own folders in the system's temporary folder."""
    uid = os.getuid() if hasattr(os, "getuid") else None
    for place in _entries(Path(tempfile.gettempdir())):
        try:
            own = uid is None or place.stat().st_uid == uid
            if own and place.name.startswith(_SCRATCH) and not place.is_symlink():
                yield place
        except OSError:
            continue


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _written(place: Path) -> float:
    """Unix time of the newest change to it or directly in it; now, when it vanishes meanwhile."""
    try:
        inside = list(place.iterdir()) if place.is_dir() and not place.is_symlink() else []
        return max(entry.lstat().st_mtime for entry in (place, *inside))
    except OSError:
        return time.time()
