"""Pictures with more than 8 bits a channel: their values, which of them are in use, and how they become 8 bits.

What becomes black and white is decided once for all pictures of a dataset and kept with it: a dark picture stays darker
than a bright one, 12 bits in a 16-bit file use the whole scale, and new pictures are read like those that were trained
on.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.domain.dataset import Depth

_OTHER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""The byte order that reads the lower byte where the first reads the upper one; N is the machine's own."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """The least and the greatest value of one deep picture."""

    low: float
    high: float
    real: bool
    """Floating-point values, not whole numbers."""


def is_deep(image: Any) -> bool:
    """Whether an opened picture, not yet decoded, has more than 8 bits a channel."""
    return image.mode == "F" or image.mode.startswith("I") or ";16" in _raw_mode(image)


def values(image: Any, data: bytes) -> np.ndarray:
    """The values of a deep picture whose file is `data`: (height, width) or, with colours, (height, width, 3 or 4),
    float64.

    Pillow keeps the upper 8 bits of 16-bit colours; the lower ones are decoded in a second pass. A grey picture with
    transparency has four channels. Values that are no numbers count as the least.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        found = np.asarray(image).astype(np.float64)
        finite = np.isfinite(found)
        return (found if finite.all()
                else np.where(finite, found, found[finite].min(initial=0.0) if finite.any() else 0.0))
    if "LA;16" in _raw_mode(image):                                  # two 16-bit channels look like four of 8 bits
        pairs = _decoded(data, "RGBA", mode="RGBA")  # (height, width, 4): grey high, low; alpha high, low
        grey, alpha = pairs[..., 0] * 256 + pairs[..., 1], pairs[..., 2] * 256 + pairs[..., 3]
        return np.stack([grey, grey, grey, alpha], axis=-1)
    raw = _raw_mode(image)
    return np.asarray(_decoded(data, raw) * 256 + _decoded(data, raw[:-1] + _OTHER[raw[-1]]))


def span(image: Any, data: bytes) -> Span:
    """What the values of a deep picture lie between; of a transparent one, its colours only."""
    found = values(image, data)[..., :3] if image.mode in ("RGB", "RGBA") else values(image, data)
    return Span(low=float(found.min(initial=0.0)), high=float(found.max(initial=0.0)), real=image.mode == "F")


def decide(spans: Iterable[Span], given: Depth | None = None) -> Depth:
    """One depth for all pictures with these spans; what `given` says stays.

    Whole numbers from 0 reach to the last value of the bits in use (4,095 where the greatest needs 12 bits), at least
    of 8 bits. Floating-point values within 0 to 1, or within 0 to 255, are shares of these; all else goes from the
    least to the greatest.
    """
    found = list(spans)
    whole, real = [s for s in found if not s.real], [s for s in found if s.real]
    given = given or Depth()
    return Depth(whole=given.whole or (_whole(whole) if whole else None),
                 real=given.real or (_real(real) if real else None))


def is_open(own: Span, depth: Depth | None) -> bool:
    """Whether it is still to be decided how a picture with this span is read."""
    return depth is None or (depth.real if own.real else depth.whole) is None


def to_eight(found: np.ndarray, *, real: bool, depth: Depth) -> np.ndarray:
    """Values as bytes, (…) uint8: stretched from (black, white) to 0 to 255, and cut off outside."""
    own = Span(low=float(found.min(initial=0.0)), high=float(found.max(initial=0.0)), real=real)
    black, white = (depth.real if real else depth.whole) or (_real([own]) if real else _whole([own]))
    return np.clip(np.rint((found - black) * (255.0 / (white - black))), 0, 255).astype(np.uint8)


def beyond(own: Span, depth: Depth) -> bool:
    """Whether a picture has values outside of what becomes black to white; they are cut off."""
    limits = depth.real if own.real else depth.whole
    return limits is not None and (own.low < limits[0] or own.high > limits[1])


def bits(depth: tuple[float, float]) -> int | None:
    """The bits in use where black is 0 and white the last value of so many bits; None for any other pair."""
    width = int(depth[1]).bit_length()
    return width if depth == (0.0, float(2**width - 1)) else None


def describe(depth: Depth) -> str:
    """`values 0 to 4,095 (12 bits)`, for reports."""
    parts = []
    if depth.whole:
        used = bits(depth.whole)
        parts.append(f"values {depth.whole[0]:,.0f} to {depth.whole[1]:,.0f}" + (f" ({used} bits)" if used else ""))
    if depth.real:
        parts.append(f"floating-point values {depth.real[0]:,.4g} to {depth.real[1]:,.4g}")
    return " and ".join(parts)


def _whole(spans: list[Span]) -> tuple[float, float]:
    low, high = min(s.low for s in spans), max(s.high for s in spans)
    if low < 0:
        return low, max(high, low + 255.0)
    return 0.0, float(2 ** max(8, int(high).bit_length()) - 1)


def _real(spans: list[Span]) -> tuple[float, float]:
    low, high = min(s.low for s in spans), max(s.high for s in spans)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    return low, high if high > low else low + 1.0


def _raw_mode(image: Any) -> str:
    """How the file holds a pixel, in Pillow's words such as `RGB;16B`; empty once it is decoded."""
    tile = image.tile[0] if getattr(image, "tile", None) else None
    args = tile.args if tile is not None else ""
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _decoded(data: bytes, raw_mode: str, *, mode: str = "") -> np.ndarray:
    """The file's bytes of one place a channel, (height, width, channels) float64."""
    from PIL import Image

    image: Any = Image.open(io.BytesIO(data))
    if mode:
        image._mode = mode
    image.tile = [tile._replace(args=raw_mode if isinstance(tile.args, str) else (raw_mode, *tile.args[1:]))
                  for tile in image.tile]
    return np.asarray(image).astype(np.float64)
