"""Less contrast: fog, or bad light."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.data.made.kind import Kind, of_size
from core.domain.dataset import Content

SMALL, LARGE = (0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)
"""Share of the distance from the mean of the picture that stays."""


def _change(picture: Any, severity: int, rng: np.random.Generator) -> Any:
    if not severity:
        return picture
    values, share = picture / 255, of_size(picture.shape, SMALL, LARGE, severity)
    mean = values.mean(axis=(0, 1), keepdims=True)
    return (np.clip((values - mean) * share + mean, 0, 1) * 255).astype(np.uint8)


KIND = Kind(name="contrast", content=Content.PICTURE, change=_change,
            explains="Of the distance of each pixel from the picture's mean 0.4, 0.3, 0.2, 0.1 or 0.05 is left (small "
                     "pictures: 0.75 to 0.15).",
            source="Hendrycks and Dietterich 2019, arXiv 1903.12261")
