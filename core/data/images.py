"""One picture at a time: from the bytes of any supported format to an upright RGB picture of bounded size, and what it looks like.

Only Pillow's decoders of five pixel formats are used; vector and document formats (SVG, EPS, PDF), which can hold instructions,
are never opened. What is kept is always written anew from the pixels, so nothing hidden behind or inside a picture is carried on.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
import struct
import warnings
from dataclasses import dataclass
from typing import Any

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
"""Pillow's names of what is read; the content counts, not the file's name."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif"})
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


class Unusable(Exception):
    """A picture that cannot be kept; the message is the reason, as words that follow `left out:`."""


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
    """What was done beyond decoding: `made smaller`, `turned upright`, `transparency put on white`, `colours converted`, `16 bit to 8`."""


def normalise(data: bytes, *, max_pixels: int) -> Picture:
    """Decode, turn upright, convert to RGB (transparency on white), bound the size, and encode again.

    Long sides above 512 pixels become 512. PNG, GIF and BMP pictures, and all up to 128 pixels, are kept without loss; JPEG and WebP
    photos as JPEG: at their own quality where nothing else changed, else at quality 95. Raises Unusable with the reason for
    anything that is no whole picture of a supported format with at most `max_pixels` pixels.
    """
    from PIL import Image, ImageOps

    if not data:
        raise Unusable("it is empty")
    if len(data) > MAX_BYTES:
        raise Unusable(f"it has more than {MAX_BYTES / 1e6:.0f} MB")
    changes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Any = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > max_pixels:
            raise Unusable(f"it has {width:,} × {height:,} pixels, more than the limit of {max_pixels:,} in all")
        if image.format == "JPEG":
            image.draft(None, (2 * LONG_SIDE, 2 * LONG_SIDE))        # decodes a large photo at a half, a quarter or an eighth
        image.load()
        turned = _orientation(image)
        kept = _rgb(ImageOps.exif_transpose(image) if turned > 1 else image, changes)
        if turned > 1:
            changes.append("turned upright")
        if max(kept.size) > LONG_SIDE:
            kept.thumbnail((LONG_SIDE, LONG_SIDE), reducing_gap=3.0)
        if max(width, height) > LONG_SIDE:
            changes.append("made smaller")
        suffix, encoded = _encode(kept, image, changed=bool(changes))
    except Unusable:
        raise
    except Exception as error:  # decoders fail in many ways on damaged data; the reason goes into the report
        raise Unusable(_reason(error)) from error
    thumb, likeness, spread = _looks(kept)
    digest = hashlib.sha256(f"{kept.size[0]}x{kept.size[1]}:".encode() + kept.tobytes()).hexdigest()
    if turned >= 5:
        width, height = height, width
    return Picture(data=encoded, suffix=suffix, digest=digest, width=width, height=height, thumb=thumb, likeness=likeness, spread=spread,
                   changes=tuple(changes))


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


def _orientation(image: Any) -> int:
    """The EXIF orientation, 1 (upright) to 8; 1 where the EXIF block is missing or damaged."""
    try:
        value = image.getexif().get(0x0112, 1)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _rgb(image: Any, changes: list[str]) -> Any:
    """The picture in mode RGB; what was lost on the way is added to `changes`."""
    import numpy as np
    from PIL import Image

    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if mode.startswith("I") or mode == "F":
        values = np.asarray(image, dtype=np.float64)
        deep = values.max(initial=0) > 255
        if deep:
            changes.append("16 bit to 8")
        return Image.fromarray(np.clip(values / 257 if deep else values, 0, 255).round().astype(np.uint8)).convert("RGB")
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        if layered.getextrema()[3][0] < 255:
            changes.append("transparency put on white")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    if mode not in ("L", "1", "P", "RGB"):
        changes.append("colours converted")
    return image.convert("RGB")


def _encode(kept: Any, image: Any, *, changed: bool) -> tuple[str, bytes]:
    out = io.BytesIO()
    if max(kept.size) <= LOSSLESS_SIDE or (image.format not in ("JPEG", "MPO", "WEBP") and max(image.size) <= LONG_SIDE):
        kept.save(out, "PNG", compress_level=PNG_LEVEL, icc_profile=None, pnginfo=None)
        return ".png", out.getvalue()
    if image.format == "JPEG" and image.mode == "RGB" and not changed:
        image.save(out, "JPEG", quality="keep", comment=b"")
    else:
        kept.save(out, "JPEG", quality=95, subsampling=0, comment=b"")
    return ".jpg", out.getvalue()


def _looks(image: Any) -> tuple[Any, int, float]:
    """(small copy, perceptual hash, spread of grey values)."""
    import numpy as np
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
    import numpy as np

    k, n = np.arange(_HASH_SIDE)[:, None], np.arange(_BITMAP_SIDE)[None, :]
    return np.cos(np.pi * k * (2 * n + 1) / (2 * _BITMAP_SIDE))


def _reason(error: Exception) -> str:
    """Why a picture cannot be read, in words, from a decoder's exception."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        count = re.search(r"\((\d+) pixels\)", str(error))
        return f"it has {int(count[1]):,} pixels, far more than the limit" if count else "it has far too many pixels"
    if isinstance(error, UnidentifiedImageError):
        return "its content is no JPEG, PNG, WebP, BMP or GIF picture, whatever its name says"
    text = " ".join(str(error).split())[:80]
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "it is cut off (truncated)"
    return "it is damaged" + (f" ({text})" if text else "")
