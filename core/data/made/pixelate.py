"""Pixelate: a picture made small and large again."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.data.made.kind import Kind, of_size
from core.domain.dataset import Content

SMALL, LARGE = (0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25)
"""Share of the side that the small picture has."""


def _change(picture: Any, severity: int, rng: np.random.Generator) -> Any:
    from PIL import Image

    if not severity:
        return picture
    share = of_size(picture.shape, SMALL, LARGE, severity)
    height, width = picture.shape[:2]
    small = Image.fromarray(picture).resize((max(1, int(width * share)), max(1, int(height * share))),
                                            Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BOX))


KIND = Kind(name="pixelate", content=Content.PICTURE, change=_change,
            explains="Made smaller, to 0.6, 0.5, 0.4, 0.3 or 0.25 of its sides, and as large as before again (small "
                     "pictures: 0.95 to 0.65).",
            source="Hendrycks and Dietterich 2019, arXiv 1903.12261")
