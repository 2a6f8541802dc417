"""What a way of making a shift set says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.domain.dataset import Content

SMALL_SIDE, LARGE_SIDE = 32, 224
"""Pixels of the pictures that the two sets of parameters of Hendrycks and Dietterich are meant for."""
SMALL = 64
"""Pictures whose shorter side has at most so many pixels get the parameters for small ones."""

Change = Callable[[Any, int, np.random.Generator], Any]
"""(a text, or a picture as uint8 (height, width, 3); severity 0 to 5; random numbers of the row) -> the same, changed.
Severity 0 changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way to make a shift set from test rows."""

    name: str
    """Stored, so it stays."""
    content: Content
    explains: str
    """What is done to a row, with the numbers of the five severities: one sentence."""
    source: str
    """Where the numbers are from."""
    change: Change


def of_size(shape: tuple[int, ...], small: tuple[float, ...], large: tuple[float, ...], severity: int) -> float:
    """The parameter of this severity for a picture of this shape: small pictures have their own."""
    return (small if min(shape[:2]) <= SMALL else large)[severity - 1]


def in_proportion(shape: tuple[int, ...], pixels: float) -> float:
    """A length that was meant for a side of 32 (small pictures) or 224 pixels, for the side that this picture has."""
    side = min(shape[:2])
    return pixels * side / (SMALL_SIDE if side <= SMALL else LARGE_SIDE)
