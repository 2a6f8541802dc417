"""Small copies of many pictures on one sheet, which a browser cuts up when the pointer rests on a row."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import files
from core.cache import kept, mark_used

MOST = 5500
"""Pictures on one sheet; more would be megabytes for one hover."""
SIDE = 48
"""Pixels of a small copy."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """data: a WebP; columns: small copies in a line, row by row in the order asked for."""

    data: bytes
    columns: int


def make(paths: Sequence[str], *, cache: Path) -> Sheet | None:
    """The sheet of these pictures, from the cache or made now (about 1 ms a picture) and kept there; None above `MOST`.

    A picture that cannot be read leaves its place blank.
    """
    if not paths or len(paths) > MOST:
        return None
    columns = max(1, round(len(paths) ** 0.5))
    digest = hashlib.sha256("\n".join([str(SIDE), *paths]).encode()).hexdigest()[:24]
    path = cache / "contact_sheets" / digest / "sheet.webp"

    def read() -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        return None

    def draw() -> bytes:
        data = _drawn(paths, columns)
        files.write_bytes(path, data)
        return data

    data = kept(path.parent, read, draw)
    mark_used(path.parent)
    return Sheet(data=data, columns=columns)


def _drawn(paths: Sequence[str], columns: int) -> bytes:
    import io

    from PIL import Image, UnidentifiedImageError

    sheet = Image.new("RGB", (columns * SIDE, -(-len(paths) // columns) * SIDE), "white")
    for number, path in enumerate(paths):
        try:
            with Image.open(path) as picture:
                picture.draft("RGB", (SIDE, SIDE))  # JPEG: decode at a fraction of the size
                small = picture.convert("RGBA")
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            continue
        small.thumbnail((SIDE, SIDE))
        left = (number % columns) * SIDE + (SIDE - small.width) // 2
        top = (number // columns) * SIDE + (SIDE - small.height) // 2
        sheet.paste(small, (left, top), small)
    out = io.BytesIO()
    sheet.save(out, "WEBP", quality=70, method=2)
    return out.getvalue()
