"""Case: words in capitals."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from core.data.made.kind import Kind
from core.domain.dataset import Content

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Of the words."""


def _change(text: Any, severity: int, rng: np.random.Generator) -> Any:
    if not severity:
        return text
    pieces = re.split(r"(\s+)", text)
    drawn = rng.random(len(pieces))
    return "".join(_other(piece) if at < SHARES[severity - 1] else piece
                   for piece, at in zip(pieces, drawn, strict=True))


def _other(word: str) -> str:
    return word.lower() if word.isupper() else word.upper()


KIND = Kind(name="case", content=Content.TEXT, change=_change,
            explains="Of the words 20, 40, 60, 80 or 100 % are put in capitals (those in capitals already in small "
                     "letters). Models that read without case are not moved by it.",
            source="shares by Thaw")
