"""JSON files as frozen values, parsed once for each version of the file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TypeVar, cast

from core import files
from core.domain import codec

T = TypeVar("T")


def read(path: Path, kind: type[T]) -> T | None:
    """The file as a value of that dataclass; None when it is missing, of another schema version, or not of that kind."""
    try:
        stamp = path.stat()
    except OSError:
        return None
    return cast("T | None", _parse(path, cast(Any, kind), stamp.st_mtime_ns, stamp.st_size))


@functools.lru_cache(maxsize=512)
def _parse(path: Path, kind: Any, modified_ns: int, size_bytes: int) -> Any:
    """The time and the size of the file are part of the key: a rewritten file is parsed anew."""
    try:
        data = files.read_json(path)
        expected = getattr(kind, "schema_version", None)
        if not isinstance(data, dict) or (expected is not None and data.get("schema_version", expected) != expected):
            return None
        return codec.read(kind, data)
    except (OSError, ValueError, RecursionError):
        return None
