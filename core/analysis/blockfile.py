"""Pooled features of every block on disk: fp16 safetensors, readable without torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core import files
from core.errors import NotFoundError


@dataclass(frozen=True, kw_only=True)
class BlockFeatures:
    """Features of the same rows at every block of one model.

    row_ids: (n_rows,) int64; blocks: block name -> (n_rows, n_dims), in forward order; step: training step they were taken at,
    None for a model that is not in training.
    """

    row_ids: np.ndarray
    blocks: dict[str, np.ndarray]
    step: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.blocks)

    def save(self, path: Path) -> None:
        """Write as fp16 by rename. Values beyond fp16's range (65,504) become infinite, which the report names."""
        from safetensors.numpy import save

        with np.errstate(over="ignore"):
            tensors = {f"{i:03d}": np.ascontiguousarray(values, dtype=np.float16) for i, values in enumerate(self.blocks.values())}
        tensors["row_ids"] = np.ascontiguousarray(self.row_ids, dtype=np.int64)
        metadata = {"names": json.dumps(self.names), "step": json.dumps(self.step), "digest": _digest(tensors)}
        files.write_bytes(path, save(tensors, metadata=metadata))

    @staticmethod
    def load(path: Path) -> BlockFeatures:
        """Read what `save` wrote, as fp16.

        Raises NotFoundError when the file is gone, and when it is not what was written: it is then removed, so that it is made again.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            names = json.loads(metadata["names"])
            blocks = {name: tensors[f"{i:03d}"] for i, name in enumerate(names)}
            found = BlockFeatures(row_ids=tensors["row_ids"], blocks=blocks, step=json.loads(metadata["step"]))
            whole = metadata.get("digest") in (None, _digest({**{f"{i:03d}": b for i, b in enumerate(blocks.values())},
                                                              "row_ids": found.row_ids}))
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            path.unlink(missing_ok=True)
            raise NotFoundError("Features that were measured earlier are gone or damaged.",
                                why=f"{path.parent.name}/{path.name} is missing or is not what was written; it was removed.",
                                remedy="Measure them again: press the button on the Features page, or run core shift.")
        return found


def _digest(tensors: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(b"".join(tensor.tobytes() for tensor in tensors.values())).hexdigest()


def digest_of(path: Path) -> str:
    """What tells the content of a features file from any other, without reading the features."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            stored = file.metadata().get("digest")
    except (SafetensorError, AttributeError):  # damaged: `load` says so, and removes it
        stored = None
    return stored or f"{path}:{path.stat().st_size}:{path.stat().st_ino}"


def steps_of(run_dir: Path) -> list[Path]:
    """Features taken while training, in order of steps."""
    return sorted((run_dir / "features").glob("step-*.safetensors"))


def final_of(run_dir: Path, rows: int) -> Path:
    """Where the tuned model's features of the probe sample of `rows` rows lie."""
    return run_dir / "features" / f"final-{rows}.safetensors"


def beside_of(run_dir: Path, dataset: str) -> Path:
    """Where the tuned model's features of rows of a second dataset lie."""
    return run_dir / "features" / f"beside-{dataset}.safetensors"
