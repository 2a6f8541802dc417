"""Row stores on disk: values that never change for a row are computed once and shared by all epochs and runs.

One folder a key (`cache/<kind>/<key>/`): the values, a mask of rows already there, and the key in words.
Rows are ragged (`offsets`) so that a cached token activation takes no room for padding. Rows are read and written
at their place in the file, not through a memory map, so that a large cache never counts as memory of the run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


class RowStore:
    """Array of (total_rows_of_offsets, width) on disk; row i is [offsets[i]:offsets[i + 1]].

    key: everything the values depend on, JSON-serialisable. Two processes may use one store: a file lock
    lets one fill it while the other waits.
    """

    def __init__(self, root: Path, kind: str, *, key: dict[str, Any], offsets: np.ndarray, width: int, dtype: str = "float32") -> None:
        self.folder = _folder(root, kind, key)
        self.offsets = offsets
        self.width = width
        self.dtype = np.dtype(dtype)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.lock():
            if not (self.folder / "key.json").is_file():
                (self.folder / "values.bin").touch()
                np.save(self.folder / "done.npy", np.zeros(len(offsets) - 1, dtype=bool))
                (self.folder / "key.json").write_text(json.dumps(key, sort_keys=True), encoding="utf-8")
            with (self.folder / "values.bin").open("r+b") as file:
                file.truncate(max(1, int(offsets[-1]) * width * self.dtype.itemsize))
        (self.folder / "key.json").touch()
        self._file = (self.folder / "values.bin").open("r+b", buffering=0)

    @staticmethod
    def exists(root: Path, kind: str, *, key: dict[str, Any]) -> bool:
        """Whether some run has begun such a store; it is not made by asking."""
        return (_folder(root, kind, key) / "key.json").is_file()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while one process fills the store."""
        from filelock import FileLock

        with FileLock(str(self.folder) + ".lock"):
            yield

    def missing(self, indices: np.ndarray) -> np.ndarray:
        """Those of `indices` that were not computed yet."""
        done = np.load(self.folder / "done.npy")
        return indices[~done[indices]]

    def mark(self, indices: np.ndarray) -> None:
        """Note that these rows are there (call while holding the lock, after writing them)."""
        done = np.load(self.folder / "done.npy")
        done[indices] = True
        temporary = self.folder / "done.tmp.npy"
        np.save(temporary, done)
        temporary.replace(self.folder / "done.npy")

    def read(self, index: int) -> np.ndarray:
        """(length_of_row, width) of one row."""
        start, stop = int(self.offsets[index]), int(self.offsets[index + 1])
        step = self.width * self.dtype.itemsize
        return np.frombuffer(os.pread(self._file.fileno(), (stop - start) * step, start * step), self.dtype).reshape(-1, self.width)

    def read_single(self, indices: np.ndarray) -> np.ndarray:
        """(n_rows, width) for a store with one entry a row."""
        return np.concatenate([self.read(int(index)) for index in indices]) if len(indices) else np.zeros((0, self.width), self.dtype)

    def write(self, index: int, values: np.ndarray) -> None:
        """Write one row, (length_of_row, width); call `mark` once a group of rows is written."""
        data = np.ascontiguousarray(values, dtype=self.dtype)
        os.pwrite(self._file.fileno(), data.tobytes(), int(self.offsets[index]) * self.width * self.dtype.itemsize)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _folder(root: Path, kind: str, key: dict[str, Any]) -> Path:
    return root / kind / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def evict(root: Path, limit_bytes: int, keep: set[Path] | None = None) -> int:
    """Delete least recently used cache entries until the folder is within `limit_bytes`; returns bytes freed.

    keep: entry folders in use by this process.
    """
    import shutil

    entries = []
    for marker in root.glob("*/*/*.*"):
        if marker.name in ("key.json", "offsets.npy"):
            size = sum(path.stat().st_size for path in marker.parent.iterdir())
            entries.append((marker.stat().st_mtime, size, marker.parent))
    total, freed = sum(size for _, size, _ in entries), 0
    for _, size, folder in sorted(entries):
        if total - freed <= limit_bytes:
            break
        if folder not in (keep or set()):
            shutil.rmtree(folder, ignore_errors=True)
            freed += size
    return freed
