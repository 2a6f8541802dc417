"""What augmentation does to pictures, for a page to show: the function that training calls, same seed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data.pictures.augment import augment
from core.data.pictures.decode import open_rgb


@dataclass(frozen=True, kw_only=True)
class Variants:
    """One picture as the base model sees it, and as each of the first epochs would bend it. All are PNG files."""

    before: bytes
    epochs: tuple[bytes, ...]


def variants(path: str | Path, *, level: str, row: int, side: int, epochs: Sequence[int] = (0, 1, 2),
             seed: int = 0) -> Variants:
    """The picture cut to a square of `side` pixels, and `augment` of it for these epochs.

    row: its index in the dataset, which decides the random numbers as it does in training. The square stands for what a
    base model's own processor cuts out; all else is training's. Raises DataError, naming the file, when it cannot be
    read.
    """
    from PIL import Image, ImageOps

    square = ImageOps.fit(open_rgb(path), (side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(square)                                      # (side, side, 3) uint8
    return Variants(before=_png(pixels),
                    epochs=tuple(_png(augment(pixels, level=level, seed=seed, epoch=e, row=row)) for e in epochs))


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
