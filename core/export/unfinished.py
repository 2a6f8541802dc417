"""An export that was stopped or killed: what it had written stays beside its place, and the next attempt goes on there.

The folder holds `files`, what the format wrote so far; `unfinished.json`, which parts of that are whole, with the
SHA-256 of each of their files; and `asked`, what the certificate has asked for so far. No torch.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import files
from core.errors import FailureKind, ThawError
from core.models.untrusted import json_object

NOTES, FILES, ASKED, LOCK = "unfinished.json", "files", "asked", "lock"
WRITTEN = "format"
"""The part that is all of a format's files."""


def beside(target: Path) -> Path:
    """Where what is unfinished of an export to `target` lies."""
    return target.with_name(f".{target.name}.unfinished")


@dataclass
class Unfinished:
    """An export under way. parts: name -> {"said": what its maker returned, "files": {name: SHA-256}}."""

    folder: Path
    key: dict[str, Any]
    parts: dict[str, Any] = field(default_factory=dict)
    went_on: bool = False
    """Whether anything of an earlier attempt was there and whole."""

    @property
    def files(self) -> Path:
        return self.folder / FILES

    @property
    def asked(self) -> Path:
        """Where the certificate keeps what it was answered."""
        return self.folder / ASKED

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returned (JSON), now or in an earlier attempt, whose files are as it wrote them."""
        if name not in self.parts:
            before = dict(_stamps(self.files))
            said = make()
            changed = [path for path, stamp in _stamps(self.files) if before.get(path) != stamp]
            own = changed if name != WRITTEN else [path for path, _ in _stamps(self.files)]
            self.parts[name] = {"said": said, "files": {path: files.sha256(self.files / path) for path in own}}
            files.write_json(self.folder / NOTES, {"key": self.key, "parts": self.parts}, durable=True)
        return self.parts[name]["said"]


@contextlib.contextmanager
def opened(folder: Path, key: dict[str, Any]) -> Iterator[Unfinished]:
    """The export in `folder`, with what an earlier attempt at the same (`key`) left whole there; removed at the end
    unless it holds a part that another attempt can go on from.

    Raises ThawError while another process writes it.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(str(folder / LOCK), timeout=0)
        lock.acquire()
    except Timeout as error:
        raise ThawError("This export is being written by another process.", kind=FailureKind.INTERRUPTED,
                        why="Two of them would write the same files.",
                        remedy="Wait for it to end, or name another folder.") from error
    found = Unfinished(folder, json.loads(json.dumps(key)))
    try:
        _take_up(found)
        yield found
    finally:
        lock.release()
        if not found.parts or not found.files.is_dir():  # nothing to go on from, or moved to its place
            files.remove_folder(folder)


def remove(folder: Path) -> None:
    """Start over."""
    files.remove_folder(folder)


def seen(folder: Path) -> dict[str, Any] | None:
    """{"bytes": of what is there, "written": whether all files are, so that only the certificate is left}; None where
    there is nothing to go on from. Nothing is verified: that is done when it goes on."""
    parts = json_object(folder / NOTES).get("parts")
    if not parts or not isinstance(parts, dict):
        return None
    there = [path for path in (folder / FILES).rglob("*") if path.is_file()]
    return {"bytes": sum(path.stat().st_size for path in there), "written": WRITTEN in parts}


def _take_up(found: Unfinished) -> None:
    """Keep the parts of an earlier attempt whose files are as it wrote them; remove all else."""
    noted = json_object(found.folder / NOTES)
    if noted.get("key") == found.key and isinstance(noted.get("parts"), dict):
        found.parts = {name: part for name, part in noted["parts"].items() if _whole(part, found.files)}
    if WRITTEN not in found.parts:
        files.remove_folder(found.asked)
    kept = {path for part in found.parts.values() for path in part["files"]}
    for path, _ in list(_stamps(found.files)):
        if path not in kept:
            (found.files / path).unlink()
    found.files.mkdir(exist_ok=True)
    found.went_on = bool(found.parts)


def _whole(part: Any, folder: Path) -> bool:
    try:
        return all(files.sha256(folder / name) == digest for name, digest in part["files"].items())
    except (OSError, KeyError, TypeError, AttributeError):
        return False


def _stamps(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """(path in the folder, (bytes, time of change)) of each file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            yield path.relative_to(folder).as_posix(), (stat.st_size, stat.st_mtime_ns)
