"""One picture at a time: from the bytes of any supported format to an upright RGB picture of bounded size, and what it
looks like.

`core.data.pictures.decode` opens it. What is kept is always written anew from the pixels, so nothing hidden behind or
inside a picture is carried on.
"""

from __future__ import annotations

import functools
import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.data.pictures import decode as decoder
from core.data.pictures.decode import FORMATS, SUFFIXES, Unusable
from core.domain.dataset import Depth

__all__ = ["FORMATS", "LONG_SIDE", "LOSSLESS_SIDE", "MAX_BYTES", "SUFFIXES", "THUMB", "Picture", "Unusable",
           "normalise", "preview"]

LONG_SIDE = 512
"""Longest side of a kept picture in pixels; larger ones are made smaller."""
LOSSLESS_SIDE = 128
"""Pictures up to this side are always kept without loss."""
PNG_LEVEL = 1
"""Of compression: level 3 takes nearly twice the time for a tenth less room."""
MAX_BYTES = 100_000_000
"""Of one picture file."""
THUMB = 16
"""Side of the small copy that near duplicates are confirmed with."""
_BITMAP_SIDE, _HASH_SIDE = 32, 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A picture as it is kept."""

    data: bytes
    """The file to write."""
    suffix: str
    """`.png` or `.jpg`."""
    digest: str
    """SHA-256 (hex) of size and pixels: equal pictures have equal digests, whatever their format."""
    width: int
    """Of the original, upright, in pixels."""
    height: int
    thumb: Any
    """uint8 (16, 16, 3)."""
    likeness: int
    """Perceptual hash of 63 bits: the signs of the lowest frequencies (pHash)."""
    spread: float
    """Standard deviation of the grey values (0 to 255): 0 for a blank picture."""
    changes: tuple[str, ...]
    """What was done beyond decoding: `made smaller`, and what `core.data.pictures.decode.Decoded` lists."""


def normalise(data: bytes, *, max_pixels: int, depth: Depth | None = None) -> Picture:
    """Decode, turn upright, convert to RGB (transparency on white), bound the size, and encode again.

    Long sides above 512 pixels become 512. PNG, GIF, BMP and TIFF pictures, and all up to 128 pixels, are kept without
    loss; JPEG and WebP photos as JPEG: at their own quality where nothing else changed, else at quality 95. depth: see
    `decode`. Raises Unusable with the reason for anything that is no whole picture of a supported format with at most
    `max_pixels` pixels.
    """
    if len(data) > MAX_BYTES:
        raise Unusable(f"it has more than {MAX_BYTES / 1e6:.0f} MB")
    decoded = decoder.decode(data, max_pixels=max_pixels, depth=depth, draft=2 * LONG_SIDE)
    kept, changes = decoded.picture, list(decoded.changes)
    if max(kept.size) > LONG_SIDE:
        kept.thumbnail((LONG_SIDE, LONG_SIDE), reducing_gap=3.0)
    if max(decoded.size) > LONG_SIDE:
        changes.append("made smaller")
    suffix, encoded = _encode(kept, decoded.source, changed=bool(changes))
    thumb, likeness, spread = _looks(kept)
    digest = hashlib.sha256(f"{kept.size[0]}x{kept.size[1]}:".encode() + kept.tobytes()).hexdigest()
    return Picture(data=encoded, suffix=suffix, digest=digest, width=decoded.size[0], height=decoded.size[1],
                   thumb=thumb, likeness=likeness, spread=spread, changes=tuple(changes))


def preview(data: bytes, *, max_pixels: int, side: int = 96) -> bytes | None:
    """A small PNG for display; None when the picture cannot be read."""
    from PIL import Image

    try:
        picture = normalise(data, max_pixels=max_pixels)
    except Unusable:
        return None
    image = Image.open(io.BytesIO(picture.data))
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _encode(kept: Any, image: Any, *, changed: bool) -> tuple[str, bytes]:
    out = io.BytesIO()
    if (max(kept.size) <= LOSSLESS_SIDE
            or (image.format not in ("JPEG", "MPO", "WEBP") and max(image.size) <= LONG_SIDE)):
        kept.save(out, "PNG", compress_level=PNG_LEVEL, icc_profile=None, pnginfo=None)
        return ".png", out.getvalue()
    if image.format == "JPEG" and image.mode == "RGB" and not changed:
        image.save(out, "JPEG", quality="keep", comment=b"")
    else:
        kept.save(out, "JPEG", quality=95, subsampling=0, comment=b"")
    return ".jpg", out.getvalue()


def _looks(image: Any) -> tuple[Any, int, float]:
    """(small copy, perceptual hash, spread of grey values)."""
    from PIL import Image

    small = image.resize((_BITMAP_SIDE, _BITMAP_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    grey = np.asarray(small.convert("L"), dtype=np.float64)
    waves = _cosines() @ grey @ _cosines().T                          # (8, 8) lowest frequencies
    low = waves.ravel()[1:]
    bits = low > np.median(low)
    likeness = int("".join("1" if bit else "0" for bit in bits), 2)
    thumb = np.asarray(small.resize((THUMB, THUMB), Image.Resampling.BOX), dtype=np.uint8)
    return thumb, likeness, float(grey.std())


@functools.lru_cache(maxsize=1)
def _cosines() -> Any:
    """(8, 32) rows of the discrete cosine transform."""
    k, n = np.arange(_HASH_SIDE)[:, None], np.arange(_BITMAP_SIDE)[None, :]
    return np.cos(np.pi * k * (2 * n + 1) / (2 * _BITMAP_SIDE))
