"""Which files a side's weights come from, and their SHA-256. No torch."""

from __future__ import annotations

import functools
from pathlib import Path

from core import files, values
from core.analysis import kept_steps
from core.domain.side import Side, Which
from core.models import facts
from core.serving.question import WeightFile
from core.settings import Settings

OWN = ("head.safetensors", "weights.safetensors", "adapter/adapter_model.safetensors")
"""Of a run's artifact: what training made."""
BASE_HEAD = "base_head.safetensors"
"""The probe's head, which the base side of a classifier answers with."""


def files_of(side: Side, settings: Settings) -> tuple[WeightFile, ...]:
    """The files that loading the side reads weights from, in the order of reading."""
    recipe = values.recipe(side.folder)
    base = facts.folder(recipe.base_model, settings)
    found = [_file(path, f"{recipe.base_model}: {path.name}") for path in sorted(base.glob("*.safetensors"))]
    if side.which is Which.STEP:
        path = kept_steps.weights(side.folder, side.step)
        return (*found, _file(path, path.relative_to(side.folder).as_posix()))
    artifact = side.folder / "artifact"
    wanted = OWN if side.which is Which.FINAL else (BASE_HEAD,)
    found += [_file(artifact / name, f"artifact/{name}") for name in wanted if (artifact / name).is_file()]
    return tuple(found)


def _file(path: Path, name: str) -> WeightFile:
    stamp = path.stat()
    return WeightFile(name=name, size_bytes=stamp.st_size,
                      sha256=_sha256(path, (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)))


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, stamp: tuple[int, ...]) -> str:
    """stamp: part of the key, so that a changed file is read anew."""
    return files.sha256(path)
