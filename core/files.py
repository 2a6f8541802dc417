"""Files that are whole or absent: written under a temporary name, synced, renamed; folders are renamed, then deleted."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

DELETED_PREFIX = ".deleted-"


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` so that a reader, or a power cut, sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o600)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON (indented, UTF-8) atomically."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any | None:
    """The parsed file, or None when there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def remove_folder(folder: Path) -> None:
    """Delete a folder: first out of sight in one rename, then bit by bit. What a crash leaves, `sweep` clears."""
    grave = folder.with_name(f"{DELETED_PREFIX}{folder.name}-{secrets.token_hex(4)}")
    try:
        folder.rename(grave)
    except FileNotFoundError:
        return
    shutil.rmtree(grave, ignore_errors=True)


def sweep(parent: Path) -> int:
    """Clear folders whose deletion was cut short below `parent`; returns how many were found."""
    graves = list(parent.glob(f"{DELETED_PREFIX}*"))
    for grave in graves:
        shutil.rmtree(grave, ignore_errors=True)
    return len(graves)


def size_bytes(path: Path) -> int:
    """Bytes of all files below `path` (0 when missing). Links are not followed; files that vanish meanwhile count 0."""
    total = 0
    stack = [path]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except (FileNotFoundError, NotADirectoryError):
            continue
    return total


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; platforms that cannot open a folder need no such step."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
