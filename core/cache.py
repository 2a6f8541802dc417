"""Entries of the cache folder: found by what they depend on, locked while filled, leased while used, evicted when
neither.

An entry is a folder `cache/<kind>/<key>/`. Beside it lie `<key>.lock`, held by whoever fills or removes the entry, and
one `<key>.lease-…` for each user. Both are locks of the operating system, which end with their process however that
ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from core import files
from core.files import sha256

if TYPE_CHECKING:
    from filelock import FileLock

T = TypeVar("T")
KEY = "key.json"
"""Its time of last change is when the entry was last used. Some kinds also keep the key itself in it."""
MARKERS = (KEY, "offsets.npy")
"""Tokens that the versions before wrote have no `key.json`."""
STRAY_S = 86_400.0
"""A temporary file that nobody has changed for so long was left by a process that was killed."""
_SUMS = "sums.json"


def folder_of(root: Path, kind: str, key: Any) -> Path:
    """The folder of the entry that depends on `key` (JSON-serialisable), below the cache folder `root`."""
    return root / kind / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def mark_used(folder: Path) -> None:
    """Note that the entry was just used; one that was evicted since is no error."""
    with contextlib.suppress(FileNotFoundError):
        (folder / KEY).touch()


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Hold the entry's lock: one process fills it while others wait, and nobody evicts it."""
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        yield


def kept(folder: Path, read: Callable[[], T | None], make: Callable[[], T]) -> T:
    """What the entry holds; made first where there is none.

    read: the value, None where the entry is missing or damaged. make: fills the entry and returns the value, so that
    an eviction in between takes nothing away. One process makes it while others wait.
    """
    if (found := read()) is not None:
        return found
    with filling(folder):
        found = read()  # another process may have been quicker
        return make() if found is None else found


class Lease:
    """Keeps an entry from being evicted, from its making (while `filling`) until `end` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        self._path = Path(f"{folder}.lease-{os.getpid()}-{secrets.token_hex(4)}")
        self._lock: FileLock = FileLock(str(self._path))
        self._lock.acquire()

    def end(self) -> None:
        """Give the entry free. May be called again."""
        self._path.unlink(missing_ok=True)
        self._lock.release()


def evict(root: Path, limit_bytes: int) -> int:
    """Remove least recently used entries until the folder is within `limit_bytes`; returns bytes freed.

    Entries that are being filled or are leased stay, whatever the limit. One process evicts at a time; a second returns
    at once. What killed processes left is swept on the way.
    """
    if not root.is_dir():
        return 0
    with _tried(root / ".evict.lock") as mine:
        if not mine:
            return 0
        _sweep(root)
        entries = sorted(_entries(root))
        total, freed = sum(size for _, size, _ in entries), 0
        for _, size, folder in entries:
            if total - freed <= limit_bytes:
                break
            if remove(folder):
                freed += size
        return freed


def remove(folder: Path) -> bool:
    """Remove an entry unless somebody fills or uses it; whether it is gone."""
    with _tried(Path(f"{folder}.lock")) as mine:
        if not mine or _leased(folder):
            return False
        files.remove_folder(folder)
    return True


def save_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `<name>.npy` for each array, then their checksums: an entry without those is none. Call while `filling`."""
    sums = {}
    for name, array in arrays.items():
        with files.replacing(folder / f"{name}.npy") as temporary:
            np.save(temporary, array)
            sums[name] = sha256(temporary)
    files.write_json(folder / _SUMS, sums)


def load_arrays(folder: Path, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """The arrays that `save_arrays` wrote, memory-mapped; None where one is missing or is not what was written."""
    try:
        sums = json.loads((folder / _SUMS).read_text(encoding="utf-8"))
        if any(sha256(folder / f"{name}.npy") != sums[name] for name in names):
            return None
        return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def _tried(path: Path) -> Iterator[bool]:
    """Hold a lock if it is free; whether it was."""
    from filelock import FileLock, Timeout

    lock = FileLock(str(path), blocking=False)
    try:
        lock.acquire()
    except (Timeout, FileNotFoundError):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _leased(folder: Path) -> bool:
    """Whether a living process uses the entry; leases of dead ones are removed. Call while holding its lock."""
    for path in folder.parent.glob(f"{folder.name}.lease-*"):
        with _tried(path) as dead:
            if not dead:
                return True
            path.unlink(missing_ok=True)
    return False


def _entries(root: Path) -> list[tuple[float, int, Path]]:
    """(last use, bytes, folder) of every entry; those that vanish meanwhile are left out."""
    found = {}
    for folder in root.glob("*/[!.]*"):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            used = [(folder / name).stat().st_mtime for name in MARKERS if (folder / name).is_file()]
            if used:
                found[folder] = (max(used), sum(path.stat().st_size for path in folder.iterdir()), folder)
    return list(found.values())


def _sweep(root: Path) -> None:
    """Remove folders whose removal was cut short, and temporary files that nobody writes any more."""
    for kind in root.iterdir():
        files.sweep(kind)
    for path in root.glob("*/*/*"):
        with contextlib.suppress(OSError):
            if files.is_temporary(path.name) and time.time() - path.stat().st_mtime > STRAY_S:
                path.unlink()
