"""Features in little room: of each block the strongest directions, with coordinates and directions in 8 bits.

A block that is the same under two models is kept once, so that it is the same bytes again afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.feature_files import BlockFeatures
from core.errors import DataError

LEVELS = 127


@dataclass
class Compactor:
    """Takes features files one after the other; `save` writes what it took."""

    directions: int
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    captured: list[float] = field(default_factory=list)
    """Share of the variance that was kept, one a block that was not there before."""
    _known: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, found: BlockFeatures, *, heads: Mapping[str, NDArray[np.floating]] | None = None) -> None:
        """Keep a file under a relative path. heads: block -> directions (n, n_dims) that must be kept besides, such as
        those that a classifier on it looks along."""
        blocks = {name: self._block(values, (heads or {}).get(name)) for name, values in found.blocks.items()}
        self.files.append({"path": path, "step": found.step, "rows": self._array(found.row_ids), "blocks": blocks})

    def save(self, path: Path) -> None:
        """Write everything as one file."""
        index = np.frombuffer(json.dumps(self.files).encode(), np.uint8)
        with path.open("wb") as file:
            np.savez(file, **{"index": index, **self.arrays})  # type: ignore[arg-type]

    def _array(self, values: NDArray[Any]) -> str:
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        name = self._known.setdefault(digest, f"a{len(self._known)}")
        self.arrays.setdefault(name, values)
        return name

    def _block(self, values: NDArray[np.floating], head: NDArray[np.floating] | None) -> str:
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        if digest in self._known:
            return self._known[digest]
        name = self._known[digest] = f"b{len(self._known)}"
        x = values.astype(np.float64)  # (n_rows, n_dims)
        middle = x.mean(axis=0)
        axes = np.linalg.svd(x - middle, full_matrices=False)[2][:self.directions]  # (k, n_dims)
        if head is not None:
            axes = np.linalg.qr(np.concatenate([axes, head.astype(np.float64)]).T)[0].T
        coordinates = (x - middle) @ axes.T  # (n_rows, k)
        self.captured.append(float((coordinates ** 2).sum() / max(((x - middle) ** 2).sum(), 1e-30)))
        self.arrays |= {f"{name}.middle": middle.astype(np.float16)}
        for part, array in (("rows", coordinates.T), ("axes", axes)):
            step = np.maximum(np.abs(array).max(axis=1), 1e-12) / LEVELS
            self.arrays |= {f"{name}.{part}": np.rint(array / step[:, None]).astype(np.int8),
                            f"{name}.{part}.step": step.astype(np.float32)}
        return name


def restore(path: Path, home: Path) -> None:
    """Write every features file below `home` again. Raises DataError for a path that leads elsewhere."""
    with np.load(path, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    entries: Sequence[Mapping[str, Any]] = json.loads(arrays["index"].tobytes())
    blocks: dict[str, NDArray[np.float16]] = {}
    for entry in entries:
        target = (home / entry["path"]).resolve()
        if not target.is_relative_to(home.resolve()):
            raise DataError("The recorded example is damaged.", why="A file in it leads out of its folder.")
        for name in entry["blocks"].values():
            if name not in blocks:
                blocks[name] = _values(arrays, name)
        BlockFeatures(row_ids=arrays[entry["rows"]], step=entry["step"],
                      blocks={block: blocks[name] for block, name in entry["blocks"].items()}).save(target)


def _values(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float16]:
    """(n_rows, n_dims). In double precision, so that rounding to 16 bits gives the same bytes on every machine."""
    def wide(part: str) -> NDArray[np.float64]:
        return arrays[part].astype(np.float64)

    rows, axes = (wide(f"{name}.{part}") * wide(f"{name}.{part}.step")[:, None] for part in ("rows", "axes"))
    return (arrays[f"{name}.middle"].astype(np.float64) + rows.T @ axes).astype(np.float16)
