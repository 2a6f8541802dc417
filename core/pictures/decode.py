"""Open a picture file as RGB: orientation, colour models, depth and transparency settled, never more than one frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Formats that are read. Others that Pillow knows start external programs (EPS) or are no pictures of rows."""
MAX_PIXELS = 50_000_000
"""Default limit; `Settings.max_pixels` is the one that import holds."""
WHITE = (255, 255, 255)


def open_rgb(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The picture in mode RGB, 8 bits a channel, turned as its EXIF orientation says; the first frame of an animation.

    Transparency is laid on white, CMYK and palettes are converted, 16-bit values scaled to 8. Raises DataError, naming the file,
    when it is missing, not one of `FORMATS`, truncated, or has more than `max_pixels` pixels (checked before it is decoded).
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = Path(path).name
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > max_pixels:
                raise DataError(f"The picture {name} is too large.", why=f"It has {picture.width:,} x {picture.height:,} pixels; the limit "
                                f"is {max_pixels:,} in all.", remedy="Make it smaller and import again.")
            picture.seek(0)
            picture.load()
            return _rgb(ImageOps.exif_transpose(picture))
    except FileNotFoundError as error:
        raise DataError(f"The picture {name} is missing.", why="The dataset names it, but the file is gone.",
                        remedy="Import the dataset again.") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"The picture {name} cannot be read.", why=f"{str(error)[:120] or type(error).__name__}.",
                        remedy="Save it again as PNG or JPEG, or leave it out.") from error


def _rgb(picture: Image) -> Image:
    """Any mode to RGB."""
    from PIL import Image

    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture.copy() if picture.readonly else picture
    if picture.mode.startswith("I") or picture.mode == "F":
        return _eight_bits(picture)
    if "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (*WHITE, 255))
        return Image.alpha_composite(ground, layered).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(picture: Image) -> Image:
    """16- and 32-bit grey (modes I;16, I, F) to RGB: 16 bits keep their upper 8; floats up to 1 count as shares of white."""
    import numpy as np
    from PIL import Image

    values = np.asarray(picture).astype(np.float64)
    highest = float(values.max(initial=0.0))
    if picture.mode == "F":
        scale = 255.0 if highest <= 1 else 1.0
    else:
        scale = 1 / 257 if highest > 255 or picture.mode.startswith("I;16") else 1.0
    if highest * scale > 255:
        scale = 255 / highest
    grey = Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))
    return grey.convert("RGB")
