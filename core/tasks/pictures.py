"""Pictures as a network sees them: decoded and resized once for all runs, normalised (and augmented) a batch at a
time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.data.pictures.augment import augment
from core.data.pictures.decode import open_rgb
from core.domain.dataset import Depth
from core.domain.recipe import Recipe
from core.features.row_store import RowStore
from core.models.processors import PictureProcessor
from core.tasks.base import Report, Rows, no_report

if TYPE_CHECKING:
    import torch

STORE_LIMIT_BYTES = 8 * 10**9
"""Resized pixels are kept on disk up to this size; a larger set is decoded anew each time a row is read."""
CHUNK_ROWS = 256
PLACEHOLDER_SIDE = 32
"""Pixels a side of the stand-in for pictures whose feature maps are cached: the stem still runs, on next to nothing."""


class EncodedPictures:
    """Resized pixels of all rows, as bytes on disk; a batch is normalised when it is read.

    content: picture paths. augmentation and seed: what `batch` does to rows that it is given an epoch for.
    """

    ragged = False

    def __init__(self, content: list[str], *, processor: PictureProcessor, store: RowStore | None, augmentation: str,
                 seed: int, depth: Depth | None = None) -> None:
        self.content = content
        self.processor = processor
        self.store = store
        self.augmentation = augmentation
        self.seed = seed
        self.depth = depth
        self.lengths = np.ones(len(content), dtype=np.int64)

    def pixels(self, index: int) -> np.ndarray:
        """(height, width, 3) uint8 of one row."""
        if self.store is None:
            return self.processor.resize(open_rgb(self.content[index], depth=self.depth))
        return self.store.read(index).reshape(*self.processor.size, 3)

    def batch(self, indices: np.ndarray, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        """{"pixel_values": (n_rows, channels, height, width)}; with an epoch, augmented as the recipe says."""
        rows = [self.pixels(int(index)) for index in indices]
        if epoch is not None and self.augmentation != "off":
            rows = [augment(pixels, level=self.augmentation, seed=self.seed, epoch=epoch, row=int(index))
                    for pixels, index in zip(rows, indices, strict=True)]
        return {"pixel_values": self.processor.normalise(np.stack(rows))}

    def beside_prefix(self, indices: np.ndarray, *, prefix_axes: int) -> dict[str, torch.Tensor]:
        """Zeros where the pictures were: feature maps (three axes a row) need no particular size, tokens need the
        model's own."""
        import torch

        height, width = (PLACEHOLDER_SIDE, PLACEHOLDER_SIDE) if prefix_axes == 3 else self.processor.size
        return {"pixel_values": torch.zeros(len(indices), self.processor.channels, height, width)}


def encode(rows: Rows, processor: PictureProcessor, *, recipe: Recipe, cache: Path,
           report: Report = no_report) -> EncodedPictures:
    """The pixels of all rows. Raises DataError, naming the file, for a picture that is gone or damaged."""
    height, width = processor.size
    store: RowStore | None = None
    if len(rows.content) * height * width * 3 <= STORE_LIMIT_BYTES:
        key = {"dataset": rows.dataset_hash, "processor": processor.fingerprint(), "rows": len(rows.content)}
        store = RowStore(cache, "pixels", key=key, offsets=np.arange(len(rows.content) + 1), width=height * width * 3,
                         dtype="uint8")
        _fill(store, rows, processor, report)
    return EncodedPictures(rows.content, processor=processor, store=store, augmentation=recipe.augmentation,
                           seed=recipe.seed, depth=rows.depth)


def _fill(store: RowStore, rows: Rows, processor: PictureProcessor, report: Report) -> None:
    """Decode and resize the rows that the store lacks, on as many threads as there are cores (Pillow works outside of
    Python's lock)."""
    def decode(index: int) -> None:
        store.write(index, processor.resize(open_rgb(rows.content[index], depth=rows.depth)).reshape(1, -1))

    with store.lock(), ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        todo = store.missing(np.arange(len(rows.content)))
        for start in range(0, len(todo), CHUNK_ROWS):
            part = todo[start:start + CHUNK_ROWS]
            for _ in pool.map(decode, (int(index) for index in part)):
                pass
            store.mark(part)
            report(start + len(part), len(todo))
