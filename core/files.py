"""Files and folders that are whole or absent: written under a temporary name, then renamed.

Every rename into place is here, so that there is one pattern for temporary names (`.new-…`) and one for what is being
deleted (`.deleted-…`): what a killed process leaves under either is found by its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NEW_PREFIX = ".new-"
DELETED_PREFIX = ".deleted-"


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary path with the same suffix, renamed to `path` when the block ends well and removed when it does not.

    A reader sees the old file or the new one, never a part. durable: also after a power cut (synced before and after
    the rename).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{NEW_PREFIX}{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable and os.name == "posix":  # platforms that cannot open a folder need no such step
        _sync(path.parent)


def write_bytes(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file through `replacing`."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any, *, indent: int | None = 1, durable: bool = False) -> None:
    """Write JSON in UTF-8 through `replacing`. indent: None writes it on one line."""
    write_bytes(path, (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode(), durable=durable)


def read_json(path: Path) -> Any | None:
    """The parsed file, or None when there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def read_json_lines(path: Path) -> Iterator[Any]:
    """What the lines hold that can be read, in order; none where there is no file. For files that a killed process may
    have cut off."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            yield json.loads(line)


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder to work in below `parent`, removed at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=NEW_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def new_folder(target: Path, *, last: str) -> Iterator[Path]:
    """A temporary folder, renamed to `target` when the block ends well and removed when it does not.

    Where another process made `target` meanwhile, that one stays. last: the file by which a whole folder is told.
    """
    with temporary_folder(target.parent) as folder:
        yield folder
        folder.chmod(0o755)
        try:
            move(folder, target)
        except OSError:
            if not (target / last).is_file():
                raise


def move(source: Path, target: Path) -> None:
    """Rename a file or folder that is whole. A file takes the place of another; for a folder there must be none."""
    os.replace(source, target)


def remove_folder(folder: Path) -> bool:
    """Delete a folder: out of sight in one rename, then bit by bit (see `sweep`). Whether there was one."""
    deleted = folder.with_name(f"{DELETED_PREFIX}{folder.name}-{secrets.token_hex(4)}")
    try:
        folder.rename(deleted)
    except FileNotFoundError:
        return False
    shutil.rmtree(deleted, ignore_errors=True)
    return True


def sweep(parent: Path) -> int:
    """Clear folders whose deletion was cut short below `parent`; returns how many were found."""
    found = list(parent.glob(f"{DELETED_PREFIX}*"))
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def is_temporary(name: str, *, folder: bool = False) -> bool:
    """Whether something of this name is not whole yet, here or in the versions before, which wrote `x.tmp`,
    `x.tmp.npz`, `.x.json-abc`."""
    if name.startswith((NEW_PREFIX, ".partial-")):
        return True
    return not folder and (name.endswith(".tmp") or ".tmp." in name or (name.startswith(".") and ".json-" in name))


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def _sync(path: Path) -> None:
    """Make what was written to a file, or renamed in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
