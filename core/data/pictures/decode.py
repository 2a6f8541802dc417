"""The one decoder: a picture file as upright RGB. Import, training and prediction all see a picture as this module
opens it.

Orientation, colour models, depth and transparency are settled here, and never more than one frame is read. Only
Pillow's decoders of six pixel formats are used; vector and document formats (SVG, EPS, PDF), which can hold
instructions, are never opened.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.domain.dataset import Depth
from core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

    from core.data.pictures.depth import Span

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Pillow's names of what is read; the content counts, not the file's name."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
                      ".ppm", ".pgm", ".pbm", ".pnm"})
SHOWN = "JPEG, PNG, WebP, BMP, GIF and TIFF"
"""The formats that people have, for messages; those of netpbm come with some public sets."""
MAX_PIXELS = 50_000_000
"""Default limit; `Settings.max_pixels` is the one that import holds."""
_TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE",
          8: "ROTATE_90"}
"""EXIF orientation -> what makes the picture upright."""


class Unusable(Exception):
    """A picture that cannot be read; the message is the reason, as words that follow `left out:`."""


class TooLarge(Unusable):
    """More pixels than the limit."""


FIRST_FRAME = "reduced to the first frame"
"""Among the changes of an animation, or of a file with several pages."""
CUT_OFF = "brighter or darker values cut off"
"""Among the changes of a picture whose values lie outside of the depth it was read with."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A picture as models see it, and what it was before."""

    picture: Any
    """Mode RGB, upright, 8 bits a channel."""
    source: Any
    """The opened file: its format, mode, and quantisation tables."""
    size: tuple[int, int]
    """Width and height of the original, upright, in pixels."""
    changes: tuple[str, ...]
    """What was done beyond decoding: `turned upright`, `transparency put on white`, `brought from 12 to 8 bits` …"""


def decode(data: bytes, *, max_pixels: int, depth: Depth | None = None, draft: int | None = None) -> Decoded:
    """Decode a file's bytes: turned as its EXIF orientation says, transparency on white, CMYK and palettes converted, 8
    bits.

    depth: which values of deep pictures become black and white; None decides it for this picture alone. draft: a long
    side in pixels that suffices; large JPEG photos are then decoded at a half, a quarter or an eighth. Raises Unusable
    with the reason for anything that is no whole picture of a supported format with at most `max_pixels` pixels.
    """
    changes: list[str] = []
    with _reasons():
        image = _opened(data, max_pixels)
        size = image.size
        if _frames(image) > 1:
            changes.append(FIRST_FRAME)
        if draft and image.format == "JPEG":
            image.draft(None, (draft, draft))
        picture = _rgb(image, data, depth, changes)
        turned = _orientation(image)                                 # afterwards: looking for it may decode the picture
        if turned > 1:
            from PIL.Image import Transpose

            picture = picture.transpose(Transpose[_TURNS[turned]])
            changes.append("turned upright")
    return Decoded(picture=picture, source=image, size=size[::-1] if turned >= 5 else size, changes=tuple(changes))


def deep_span(data: bytes, *, max_pixels: int) -> Span | None:
    """The values in use where the picture has more than 8 bits a channel; None for all others, which are not decoded
    for it.

    Raises Unusable as `decode` does.
    """
    from core.data.pictures import depth as depths

    with _reasons():
        image = _opened(data, max_pixels)
        return depths.span(image, data) if depths.is_deep(image) else None


def open_rgb(path: str | Path, *, max_pixels: int = MAX_PIXELS, depth: Depth | None = None) -> Image:
    """`decode` for a file. Raises DataError, naming it, when it is missing or cannot be used."""
    name = Path(path).name
    try:
        return decode(Path(path).read_bytes(), max_pixels=max_pixels, depth=depth).picture  # type: ignore[no-any-return]
    except FileNotFoundError as error:
        raise DataError(f"The picture {name} is missing.", why="The dataset names it, but the file is gone.",
                        remedy="Import the dataset again.") from error
    except TooLarge as error:
        raise DataError(f"The picture {name} is too large.", why=f"{str(error).capitalize()}.",
                        remedy="Make it smaller and import again.") from error
    except (Unusable, OSError) as error:
        raise DataError(f"The picture {name} cannot be read.", why=f"{str(error)[:160] or type(error).__name__}.",
                        remedy="Save it again as PNG or JPEG, or leave it out.") from error


def _opened(data: bytes, max_pixels: int) -> Any:
    """The picture with its header read, nothing decoded; its size is checked."""
    from PIL import Image

    if not data:
        raise Unusable("it is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image: Any = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = image.size
    if width * height > max_pixels:
        raise TooLarge(f"it has {width:,} × {height:,} pixels, more than the limit of {max_pixels:,} in all")
    return image


def _rgb(image: Any, data: bytes, depth: Depth | None, changes: list[str]) -> Any:
    """Any mode to RGB; what was lost on the way is added to `changes`."""
    from PIL import Image

    from core.data.pictures import depth as depths

    if depths.is_deep(image):
        image = _eight_bits(image, data, depth or Depth(), changes)
    image.load()
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        if layered.getextrema()[3][0] < 255:
            changes.append("transparency put on white")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    if mode not in ("L", "1", "P", "RGB"):
        changes.append("colours converted")
    return image.convert("RGB")


def _eight_bits(image: Any, data: bytes, depth: Depth, changes: list[str]) -> Any:
    """A deep picture as grey, RGB or RGBA of 8 bits; its alpha, where it has one, is a share of 16 bits."""
    from PIL import Image

    from core.data.pictures import depth as depths

    real = image.mode == "F"
    found = depths.values(image, data)
    colours = found[..., :3] if found.ndim == 3 else found
    span = depths.Span(low=float(colours.min(initial=0.0)), high=float(colours.max(initial=0.0)), real=real)
    own = depths.decide([span])
    limits = (depth.real or own.real) if real else (depth.whole or own.whole)
    used = depths.bits(limits) if limits else None
    if real or used != 8:
        changes.append(f"brought {'from floating point ' if real else f'from {used} ' if used else ''}to 8 bits")
    if depths.beyond(span, depth):
        changes.append(CUT_OFF)
    made = depths.to_eight(colours, real=real, depth=depth)
    if found.ndim == 3 and found.shape[-1] == 4:
        made = np.concatenate([made, np.rint(found[..., 3:] / 257).astype(np.uint8)], axis=-1)
    return Image.fromarray(made)


def _orientation(image: Any) -> int:
    """The EXIF orientation, 1 (upright) to 8; 1 where the EXIF block is missing or damaged."""
    try:
        value = image.getexif().get(0x0112, 1)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _frames(image: Any) -> int:
    """Frames of an animation, pages of a TIFF; 1 for JPEG (its others are previews) and where the file does not say."""
    if image.format not in ("GIF", "WEBP", "TIFF", "PNG"):
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, EOFError, struct.error):
        return 1


class _reasons:
    """Decoders fail in many ways on damaged data; whatever they raise inside becomes Unusable with a reason."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, Unusable):
            raise Unusable(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Why a picture cannot be read, in words, from a decoder's exception."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        count = re.search(r"\((\d+) pixels\)", str(error))
        return f"it has {int(count[1]):,} pixels, far more than the limit" if count else "it has far too many pixels"
    if isinstance(error, UnidentifiedImageError):
        return f"its content is no {SHOWN.replace(' and ', ' or ')} picture, whatever its name says"
    text = " ".join(str(error).split())[:80]
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "it is cut off (truncated)"
    return "it is damaged" + (f" ({text})" if text else "")
