"""Which files have changed: by size and times first, by SHA-256 only where those differ from what was noted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from core import files
from core.domain import document_versions
from core.files import sha256

_VERSION = 1
SETTLED_NS = 2_000_000_000
"""A file that was written less than this before it was read may have been written again within the same tick of the
clock: it is read once more the next time."""


@dataclass(frozen=True)
class Known:
    """A file when it was last read: bytes, times in nanoseconds, SHA-256 (hex)."""

    size: int
    modified_ns: int
    changed_ns: int
    read_ns: int
    sha256: str

    def still(self, stat: os.stat_result) -> bool:
        """Whether the file can be taken for unchanged without reading it."""
        same = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) == (self.size, self.modified_ns, self.changed_ns)
        return same and max(self.modified_ns, self.changed_ns) + SETTLED_NS < self.read_ns


Notes = dict[str, Known]
"""File name -> what was noted of it."""


def look(folder: Path, names: Iterable[str], known: Notes) -> Notes:
    """Notes of these files as they are now; only those are read that are not as `known` says. Raises OSError for a file
    that is gone."""
    found: Notes = {}
    for name in names:
        path = folder / name
        stat = path.stat()
        if name in known and known[name].still(stat):
            found[name] = known[name]
            continue
        read_ns = time.time_ns()
        found[name] = Known(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, read_ns, sha256(path))
    return found


def digests(notes: Notes) -> dict[str, str]:
    """File name -> SHA-256."""
    return {name: note.sha256 for name, note in notes.items()}


def read(path: Path) -> Notes | None:
    """Notes that `write` left; None where there are none, or they cannot be read. Raises NewerVersionError."""
    try:
        data = document_versions.forward(json.loads(path.read_text(encoding="utf-8")), now=_VERSION, what="checksums")
        return {name: Known(*values) for name, values in data["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(path: Path, notes: Notes) -> None:
    """Write notes by rename. A folder that cannot be written to only costs another reading next time."""
    with suppress(OSError):
        known = {name: astuple(note) for name, note in notes.items()}
        files.write_json(path, {"files": known, document_versions.KEY: _VERSION}, indent=None)
