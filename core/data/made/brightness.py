"""Brightness: too much light."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.data.made.kind import Kind, of_size
from core.domain.dataset import Content

SMALL, LARGE = (0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)
"""Added to the value (V of HSV), where white is 1."""


def _change(picture: Any, severity: int, rng: np.random.Generator) -> Any:
    if not severity:
        return picture
    colours = picture / 255
    value = colours.max(axis=2, keepdims=True)
    wanted = np.clip(value + of_size(picture.shape, SMALL, LARGE, severity), 0, 1)
    # hue and saturation stay, so that all three channels grow by one factor; black becomes grey
    brighter = np.where(value > 0, colours * wanted / np.where(value > 0, value, 1), wanted)
    return (np.clip(brighter, 0, 1) * 255).astype(np.uint8)


KIND = Kind(name="brightness", content=Content.PICTURE, change=_change,
            explains="The value of each pixel (V of HSV) grows by 0.1, 0.2, 0.3, 0.4 or 0.5, where white is 1 (small "
                     "pictures: 0.05 to 0.3).",
            source="Hendrycks and Dietterich 2019, arXiv 1903.12261")
