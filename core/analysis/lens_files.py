"""The files of a lens in a run's folder: written by the last phase of the run, read without torch."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import files
from core.analysis.feature_files import digest
from core.analysis.lens import Block, Floor, LeftBlock, Lens, LensRow
from core.domain import codec, document_versions
from core.domain.run import Interval

VERSION = 1
DOCUMENT, ARRAYS = "lens.json", "lens.safetensors"
"""In a run's folder of features."""


def there(run_dir: Path) -> bool:
    """Whether a run's words were measured, whole."""
    return read(run_dir) is not None


def save(run_dir: Path, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write both files, the document last."""
    from safetensors.numpy import save as packed

    tensors = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    mark = digest(tensors)
    files.write_bytes(run_dir / "features" / ARRAYS, packed(tensors, metadata={"digest": mark}))
    files.write_json(run_dir / "features" / DOCUMENT, {"schema_version": VERSION, "arrays": mark, **document},
                     indent=None)


def read(run_dir: Path) -> Lens | None:
    """What was measured of a run; None where nothing was, or where what is there is damaged. Raises NewerVersionError
    for files of a later version."""
    folder = run_dir / "features"
    try:
        stamps = tuple((folder / name).stat().st_mtime_ns for name in (DOCUMENT, ARRAYS))
    except OSError:
        return None
    return _read(folder, stamps)


@functools.lru_cache(maxsize=4)
def _read(folder: Path, stamps: tuple[int, ...]) -> Lens | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        document = document_versions.forward(document, now=VERSION, what="lens")
        arrays = load_file(folder / ARRAYS)
        if digest(arrays) != document["arrays"]:
            return None
        words = {int(token): str(text) for token, text in document["words"].items()}
        kl = document["kl"]
        return Lens(
            precision=document["precision"], vocabulary=document["vocabulary"], words=words, arrays=arrays,
            rows=tuple(codec.from_json(LensRow, row) for row in document["rows"]),
            blocks=tuple(codec.from_json(Block, block) for block in document["blocks"]),
            kl=codec.from_json(Interval, kl["mean"]), kl_shuffled=kl["shuffled"],
            floor=None if kl["floor"] is None else codec.from_json(Floor, kl["floor"]),
            left=tuple(codec.from_json(LeftBlock, _named(block, words)) for block in document["left"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
        return None


def _named(block: Mapping[str, Any], words: Mapping[int, str]) -> dict[str, Any]:
    """A block of what is left with its tokens in words."""
    return {**block, **{key: [(words[token], share) for token, share in block[key]] for key in ("words", "random")}}
