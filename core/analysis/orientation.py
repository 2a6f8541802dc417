"""One orientation a (dataset, base model): the camera that every map is turned to, fitted once on the base model's
features and kept in the cache, so that maps of different runs can be laid side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core import cache
from core.analysis.feature_files import BlockFeatures, digest_of
from core.settings import Settings
from core.shift import projection
from core.shift.arrays import State, state
from core.shift.projection import Camera, View
from core.threads import one_thread

_ARRAYS = ("centre", "axes")


def of(base: Path, block: str, *, settings: Settings) -> Camera | None:
    """The reference of a block: PCA of the base model's features of the whole probe sample. None where those are not on
    disk, do not have the block, or have no spread.

    base: file of the base model's features. Raises NotFoundError for a damaged one.
    """
    if not base.is_file():
        return None
    folder = cache.folder_of(settings.cache, "orientation", [digest_of(base), block])

    def read() -> tuple[Camera] | None:
        found = cache.load_arrays(folder, _ARRAYS)
        if found is None:
            return None
        cache.mark_used(folder)
        return (Camera(centre=np.array(found["centre"]), axes=np.array(found["axes"])),)

    def make() -> tuple[Camera | None]:
        features = BlockFeatures.load(base).blocks.get(block)
        if features is None or state(features) is not State.OK:
            return (None,)
        with one_thread():
            camera = projection.camera(View.BASE, [features])
        folder.mkdir(parents=True, exist_ok=True)
        cache.save_arrays(folder, {"centre": camera.centre, "axes": camera.axes})
        cache.mark_used(folder)
        return (camera,)

    kept: tuple[Camera | None] = cache.kept(folder, read, make)
    return kept[0]
