"""Gaussian noise: what a sensor adds in the dark."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.data.made.kind import Kind, of_size
from core.domain.dataset import Content

SMALL, LARGE = (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)
"""Standard deviation, where white is 1."""


def _change(picture: Any, severity: int, rng: np.random.Generator) -> Any:
    if not severity:
        return picture
    noise = rng.standard_normal(picture.shape) * of_size(picture.shape, SMALL, LARGE, severity)
    return (np.clip(picture / 255 + noise, 0, 1) * 255).astype(np.uint8)


KIND = Kind(name="gaussian-noise", content=Content.PICTURE, change=_change,
            explains="Each value of each pixel gets noise of standard deviation 0.08, 0.12, 0.18, 0.26 or 0.38, where "
                     "white is 1 (small pictures: 0.04 to 0.10).",
            source="Hendrycks and Dietterich 2019, arXiv 1903.12261")
