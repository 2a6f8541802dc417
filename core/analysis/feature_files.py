"""Pooled features of every block on disk: fp16 safetensors, readable without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import files
from core.analysis import feature_paths
from core.domain import document_versions
from core.errors import NotFoundError


@dataclass(frozen=True, kw_only=True)
class BlockFeatures:
    """Features of the same rows at every block of one model."""

    row_ids: np.ndarray
    """(n_rows,) int64"""
    blocks: dict[str, np.ndarray]
    """Block name -> (n_rows, n_dims), in forward order."""
    step: int | None = None
    """Training step they were taken at; None for a model that is not in training."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.blocks)

    def save(self, path: Path) -> None:
        """Write as fp16 by rename. Values beyond fp16's range (65,504) become infinite, which the report names."""
        from safetensors.numpy import save

        with np.errstate(over="ignore"):
            tensors = {f"{i:03d}": np.ascontiguousarray(values, dtype=np.float16)
                       for i, values in enumerate(self.blocks.values())}
        tensors["row_ids"] = np.ascontiguousarray(self.row_ids, dtype=np.int64)
        metadata = {"names": json.dumps(self.names), "step": json.dumps(self.step), "digest": digest(tensors)}
        files.write_bytes(path, save(tensors, metadata=metadata))

    @staticmethod
    def load(path: Path) -> BlockFeatures:
        """Read what `save` wrote, as fp16.

        Raises NotFoundError when the file is gone, and when it is not what was written: it is then removed, so that it
        is made again.
        """
        from safetensors import SafetensorError

        try:
            return _read(path)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            path.unlink(missing_ok=True)
            where = f"{path.parent.name}/{path.name}"
            remedy = "Measure them again: press the button on the Features page, or run core shift."
            raise NotFoundError("Features that were measured earlier are gone or damaged.",
                                why=f"{where} is missing or is not what was written; it was removed.",
                                remedy=remedy) from error

    def at(self, row_ids: NDArray[np.int64]) -> BlockFeatures:
        """The same features at these rows, in this order. Raises NotFoundError for a row that is not there."""
        if np.array_equal(self.row_ids, row_ids):
            return self
        place = {int(row): index for index, row in enumerate(self.row_ids)}
        try:
            order = np.array([place[int(row)] for row in row_ids], int)
        except KeyError as error:
            raise NotFoundError("These features are not of the same rows.",
                                remedy="Extract both sides for the same probe sample.") from error
        return replace(self, row_ids=row_ids, blocks={name: values[order] for name, values in self.blocks.items()})

    def followed_by(self, other: BlockFeatures) -> BlockFeatures:
        """These rows, then those of another dataset under the same model."""
        blocks = {name: np.concatenate([values, other.blocks[name]]) for name, values in self.blocks.items()}
        return BlockFeatures(row_ids=np.concatenate([self.row_ids, other.row_ids]), blocks=blocks)


def _read(path: Path) -> BlockFeatures:
    """Raises one of several errors for a file that is not whole; files of earlier versions carry no digest."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    if metadata.get("digest") not in (None, digest(tensors)):
        raise ValueError("the digest does not fit")
    blocks = {name: tensors[f"{i:03d}"] for i, name in enumerate(json.loads(metadata["names"]))}
    return BlockFeatures(row_ids=tensors["row_ids"], blocks=blocks, step=json.loads(metadata["step"]))


def digest(tensors: Mapping[str, np.ndarray]) -> str:
    """Over the blocks in forward order, then the row ids: the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def weight_changes(run_dir: Path) -> dict[str, Any] | None:
    """What training did to the weights, as the features job measured it; None when it has not."""
    data = files.read_json(run_dir / "features" / feature_paths.WEIGHT_CHANGES)
    return document_versions.forward(data, now=1, what="weight changes") if isinstance(data, dict) else None


def digest_of(path: Path) -> str:
    """What tells the content of a features file from any other, without reading the features."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            stored = file.metadata().get("digest")
    except (SafetensorError, AttributeError):  # damaged: `load` says so, and removes it
        stored = None
    return stored or f"{path}:{path.stat().st_size}:{path.stat().st_ino}"
