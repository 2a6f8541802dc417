"""JSON files as frozen values, parsed once for each version of the file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TypeVar, cast

from core import files
from core.domain import codec

T = TypeVar("T")


def read(path: Path, kind: type[T]) -> T | None:
    """The file as a value of that dataclass; None when it is missing or not of that kind. Raises NewerVersionError."""
    try:
        stamp = path.stat()
    except OSError:
        return None
    return cast("T | None", _parse(path, cast(Any, kind), (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)))


@functools.lru_cache(maxsize=512)
def _parse(path: Path, kind: Any, stamp: tuple[int, ...]) -> Any:
    """stamp: part of the key, so that a rewritten file is parsed anew."""
    try:
        return codec.read(kind, files.read_json(path))
    except (OSError, ValueError, RecursionError):
        return None
