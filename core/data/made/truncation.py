"""Truncation: the end of the text is missing."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from core.data.made.kind import Kind
from core.domain.dataset import Content

SHARES = (0.8, 0.6, 0.4, 0.2, 0.1)
"""Of the words that stay, counted from the beginning."""


def _change(text: Any, severity: int, rng: np.random.Generator) -> Any:
    words = list(re.finditer(r"\S+", text))
    if not severity or not words:
        return text
    return text[:words[math.ceil(SHARES[severity - 1] * len(words)) - 1].end()]


KIND = Kind(name="truncation", content=Content.TEXT, change=_change,
            explains="Only the first 80, 60, 40, 20 or 10 % of the words are left, at least one.",
            source="shares by Thaw")
