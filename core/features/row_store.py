"""Row stores on disk: values that never change for a row are computed once and shared by all epochs and runs.

One entry of the cache a key (see `core.cache`): the values, what is known of each row, and the key in words.
Rows are ragged (`offsets`) so that a cached token activation takes no room for padding. Rows are read and written
at their place in the file, not through a memory map, so that a large cache never counts as memory of the run.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core import cache, files
from core.errors import FailureKind, ThawError

KEY, VALUES, ROWS, COST = cache.KEY, "values.bin", "rows.npy", "cost.json"
_THERE = np.uint64(1 << 32)
"""Set in the note of a row that was written; the lower half is the CRC-32 of its bytes."""


class CacheDamageError(ThawError):
    """Values in the cache are not what was written there."""

    kind = FailureKind.INTERRUPTED


class RowStore:
    """Array of (total_rows_of_offsets, width) on disk; row i is [offsets[i]:offsets[i + 1]].

    key: everything the values depend on, JSON-serialisable. Two processes may use one store: a file lock
    lets one fill it while the other waits, and a lease keeps it from being evicted until `close`. Every row is checked
    against its checksum when it is read: what was cut or changed on disk is computed again, never used.
    """

    def __init__(self, root: Path, kind: str, *, key: dict[str, Any], offsets: np.ndarray, width: int,
                 dtype: str = "float32") -> None:
        self.folder = cache.folder_of(root, kind, key)
        self.offsets = offsets
        self.width = width
        self.dtype = np.dtype(dtype)
        self._key = json.dumps(key, sort_keys=True)
        self._written: dict[int, int] = {}
        self._writing = threading.Lock()
        with self.lock():
            self._lease = cache.Lease(self.folder)
            if not self._is_whole():
                self._begin()
            cache.mark_used(self.folder)
            self._file = (self.folder / VALUES).open("r+b", buffering=0)
        self._rows = self._read_rows()

    @staticmethod
    def exists(root: Path, kind: str, *, key: dict[str, Any]) -> bool:
        """Whether some run has begun such a store; it is not made by asking."""
        return (cache.folder_of(root, kind, key) / KEY).is_file()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while one process fills the store."""
        with cache.filling(self.folder):
            yield

    def missing(self, indices: np.ndarray) -> np.ndarray:
        """Those of `indices` that were not computed yet, or whose values on disk are not what was written."""
        self._rows = self._read_rows()
        return np.asarray([index for index in indices if self._found(int(index)) is None], dtype=indices.dtype)

    def mark(self, indices: np.ndarray) -> None:
        """Note that these rows are there (call while holding the lock, after writing them)."""
        rows = self._read_rows()
        with self._writing:
            rows[indices] = [_THERE | np.uint64(self._written.pop(int(index))) for index in indices]
        with files.replacing(self.folder / ROWS) as temporary:
            np.save(temporary, rows)
        self._rows = rows

    def read(self, index: int) -> np.ndarray:
        """(length_of_row, width) of one row. Raises CacheDamageError for a row that is not there, or is not what was
        written."""
        data = self._found(index)
        if data is None:
            self._rows = self._read_rows()  # another process may have filled it
            data = self._found(index)
        if data is None:
            raise CacheDamageError("A file of the cache was damaged or removed while it was in use.",
                                   why=f"Row {index} in {self.folder.parent.name}/{self.folder.name} is not what was "
                                       "written there.",
                                   remedy="Resume it or start it again: what is damaged is computed again. If it "
                                          "happens often, check the disk.")
        return np.frombuffer(data, self.dtype).reshape(-1, self.width)

    def read_single(self, indices: np.ndarray) -> np.ndarray:
        """(n_rows, width) for a store with one entry a row."""
        return (np.concatenate([self.read(int(index)) for index in indices]) if len(indices)
                else np.zeros((0, self.width), self.dtype))

    def write(self, index: int, values: np.ndarray) -> None:
        """Write one row, (length_of_row, width); call `mark` once a group of rows is written. Safe from several
        threads."""
        data = np.ascontiguousarray(values, dtype=self.dtype).tobytes()
        start, size = self._place(index)
        if len(data) != size:
            raise ValueError(f"row {index} takes {size} bytes, not {len(data)}")
        done = 0
        while done < size:
            done += os.pwrite(self._file.fileno(), memoryview(data)[done:], start + done)
        with self._writing:
            self._written[index] = zlib.crc32(data)

    def spent(self, rows: int, seconds: float) -> None:
        """Note what computing these rows took (call while holding the lock)."""
        known = self._cost()
        files.write_json(self.folder / COST, {"rows": known[0] + rows, "seconds": known[1] + seconds})

    def cost_of(self, rows: int) -> float | None:
        """Seconds that computing so many rows took, whoever did it; None for an entry from before this was noted."""
        known = self._cost()
        return known[1] / known[0] * rows if known[0] else None

    def _cost(self) -> tuple[int, float]:
        try:
            found = json.loads((self.folder / COST).read_text(encoding="utf-8"))
            return int(found["rows"]), float(found["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0.0

    def close(self) -> None:
        """Release the file and the lease."""
        self._file.close()
        self._lease.end()

    def _place(self, index: int) -> tuple[int, int]:
        """(first byte, bytes) of a row."""
        step = self.width * self.dtype.itemsize
        return int(self.offsets[index]) * step, int(self.offsets[index + 1] - self.offsets[index]) * step

    def _found(self, index: int) -> bytes | None:
        """The bytes of a row, if they are those that were written."""
        note = int(self._rows[index])
        if not note & int(_THERE):
            return None
        start, size = self._place(index)
        data = os.pread(self._file.fileno(), size, start)
        return data if len(data) == size and zlib.crc32(data) == note & 0xFFFFFFFF else None

    def _read_rows(self) -> np.ndarray:
        """(n_rows,) uint64, what is known of each row; zeros where the file is missing or damaged, so that everything
        is computed."""
        try:
            rows = np.load(self.folder / ROWS, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            rows = np.zeros(0, np.uint64)
        count = len(self.offsets) - 1
        return rows if rows.shape == (count,) and rows.dtype == np.uint64 else np.zeros(count, np.uint64)

    def _size(self) -> int:
        return max(1, int(self.offsets[-1]) * self.width * self.dtype.itemsize)

    def _is_whole(self) -> bool:
        """Whether the entry is there and of the right size (content is checked row by row)."""
        try:
            return ((self.folder / KEY).read_text(encoding="utf-8") == self._key
                    and (self.folder / VALUES).stat().st_size == self._size())
        except (OSError, ValueError):
            return False

    def _begin(self) -> None:
        """An empty store, whatever was there."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        with (self.folder / VALUES).open("wb") as file:
            file.truncate(self._size())
        (self.folder / KEY).write_text(self._key, encoding="utf-8")
