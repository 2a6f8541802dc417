"""JPEG: compressed too much."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from core.data.made.kind import Kind, of_size
from core.domain.dataset import Content

SMALL, LARGE = (80, 65, 58, 50, 40), (25, 18, 15, 10, 7)
"""Quality, as libjpeg counts it."""


def _change(picture: Any, severity: int, rng: np.random.Generator) -> Any:
    from PIL import Image

    if not severity:
        return picture
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=int(of_size(picture.shape, SMALL, LARGE, severity)))
    return np.asarray(Image.open(out).convert("RGB"))


KIND = Kind(name="jpeg", content=Content.PICTURE, change=_change,
            explains="Compressed as JPEG at quality 25, 18, 15, 10 or 7 (small pictures: 80 to 40).",
            source="Hendrycks and Dietterich 2019, arXiv 1903.12261")
