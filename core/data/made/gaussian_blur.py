"""Gaussian blur: a lens out of focus."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.data.made.kind import Kind, in_proportion, of_size
from core.domain.dataset import Content

SMALL, LARGE = (0.4, 0.6, 0.7, 0.8, 1.0), (1.0, 2.0, 3.0, 4.0, 6.0)
"""Standard deviation in pixels, of pictures of 32 and of 224 pixels."""


def _change(picture: Any, severity: int, rng: np.random.Generator) -> Any:
    from scipy.ndimage import gaussian_filter

    if not severity:
        return picture
    sigma = in_proportion(picture.shape, of_size(picture.shape, SMALL, LARGE, severity))
    blurred = gaussian_filter(picture / 255, sigma=(sigma, sigma, 0), mode="nearest")
    return (np.clip(blurred, 0, 1) * 255).astype(np.uint8)


KIND = Kind(name="gaussian-blur", content=Content.PICTURE, change=_change,
            explains="Blurred by 1, 2, 3, 4 or 6 pixels (standard deviation) at 224 pixels, in proportion at other "
                     "sizes (small pictures: 0.4 to 1 at 32 pixels).",
            source="Hendrycks and Dietterich 2019, arXiv 1903.12261")
