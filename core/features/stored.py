"""Reports and maps on disk: their numbers as JSON, their arrays as npz, each computed once for all who look."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from core.domain import codec

if TYPE_CHECKING:
    from core.shift.footer import Map
    from core.shift.report import Shift

T = TypeVar("T")


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
    from filelock import FileLock

    path = folder / f"{name}.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not path.is_file():
                _write(folder, name, make())
    return _read(path, kind, path.stat().st_ino)


def _write(folder: Path, name: str, value: Any) -> None:
    """Arrays first, the JSON last: a reader that finds the JSON finds the arrays."""
    arrays: dict[str, Any] = {}
    data = _without_arrays(codec.to_json(value), arrays)
    temporary = folder / f"{name}.tmp.npz"
    np.savez(temporary, **arrays)
    temporary.replace(folder / f"{name}.npz")
    text = folder / f"{name}.json.tmp"
    text.write_text(json.dumps(data), encoding="utf-8")
    text.replace(folder / f"{name}.json")
    (folder / "key.json").touch()  # what the cache's eviction looks at


@functools.lru_cache(maxsize=8)
def _read(path: Path, kind: Any, inode: int) -> Any:
    """Parsed once a version of the file; the few newest stay in memory, read-only."""
    (path.parent / "key.json").touch()
    with np.load(path.with_suffix(".npz")) as file:
        arrays = {name: file[name] for name in file.files}
    for array in arrays.values():
        array.flags.writeable = False
    return codec.from_json(kind, _with_arrays(json.loads(path.read_text(encoding="utf-8")), arrays))


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
