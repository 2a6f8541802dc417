"""Reports and maps on disk: their numbers as JSON, their arrays as npz, each computed once for all who look."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from core import cache, files
from core.domain import codec

if TYPE_CHECKING:
    from core.shift.footer import Map
    from core.shift.report import Shift

T = TypeVar("T")
SUM, VALUE = "sha256", "value"
UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)
"""What reading a file raises that is gone, cut, or changed; zip members carry checksums of their own."""


def shift(folder: Path, make: Callable[[], Shift]) -> Shift:
    """The report kept in this folder, made on first use; other processes wait meanwhile."""
    from core.shift.report import Shift

    return _kept(folder, "report", Shift, make)


def has_shift(folder: Path) -> bool:
    """Whether the report of this folder has been made."""
    return (folder / "report.json").is_file()


def map_of(folder: Path, name: str, make: Callable[[], Map | None]) -> Map | None:
    """The map of that name kept in this folder, made on first use."""
    from core.shift.footer import Map

    return _kept(folder, f"map-{name}", Map | None, make)


def _kept(folder: Path, name: str, kind: Any, make: Callable[[], T]) -> T:
    """Read, or make and write first: also where what is there was damaged, or is evicted between a look and a read."""
    path = folder / f"{name}.json"

    def read() -> tuple[T] | None:
        with contextlib.suppress(*UNREADABLE):
            return (_read(path, kind, path.stat().st_ino),)
        return None

    def write() -> tuple[T]:
        _write(folder, name, make())
        return (_read(path, kind, path.stat().st_ino),)

    return cache.kept(folder, read, write)[0]


def _write(folder: Path, name: str, value: Any) -> None:
    """Arrays first, the JSON last: a reader that finds the JSON finds the arrays."""
    arrays: dict[str, Any] = {}
    text = json.dumps(_without_arrays(codec.to_json(value), arrays))
    with files.replacing(folder / f"{name}.npz") as temporary:
        np.savez(temporary, **arrays)
    files.write_json(folder / f"{name}.json", {SUM: _sum(text), VALUE: text}, indent=None)
    cache.mark_used(folder)


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _text(path: Path) -> Any:
    """The value in a file; files of earlier versions carry no checksum. Raises ValueError where it does not fit."""
    data = json.loads(path.read_text(encoding="utf-8"))
    if not (isinstance(data, dict) and set(data) == {SUM, VALUE}):
        return data
    if _sum(data[VALUE]) != data[SUM]:
        raise ValueError(f"{path.name} is not what was written")
    return json.loads(data[VALUE])


@functools.lru_cache(maxsize=8)
def _read(path: Path, kind: Any, inode: int) -> Any:
    """Parsed once a version of the file; the few newest stay in memory, read-only."""
    value = _text(path)
    cache.mark_used(path.parent)
    with np.load(path.with_suffix(".npz")) as file:
        arrays = {name: file[name] for name in file.files}
    for array in arrays.values():
        array.flags.writeable = False
    return codec.from_json(kind, _with_arrays(value, arrays))


def _without_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value.astype(np.int32) if value.dtype == np.int64 else value
        return {"array": name, "dtype": str(value.dtype)}
    if isinstance(value, dict):
        return {key: _without_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_arrays(item, arrays) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _with_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"array", "dtype"}:
            return arrays[value["array"]].astype(value["dtype"])
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    return [_with_arrays(item, arrays) for item in value] if isinstance(value, list) else value
