"""Typos: a neighbouring key, two letters swapped, one left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.data.made.kind import Kind
from core.domain.dataset import Content

RATES = (0.02, 0.04, 0.08, 0.12, 0.16)
"""Share of letters at which something goes wrong."""
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Of a keyboard; each is half a key further to the right than the one above."""


def _neighbours() -> dict[str, str]:
    at = {key: (row, column + row / 2) for row, keys in enumerate(ROWS) for column, key in enumerate(keys)}
    return {key: "".join(other for other, place in at.items() if other != key and abs(place[0] - row) <= 1
                         and abs(place[1] - column) <= 1) for key, (row, column) in at.items()}


NEIGHBOURS = _neighbours()


def _change(text: Any, severity: int, rng: np.random.Generator) -> Any:
    if not severity:
        return text
    # drawn for all letters whatever the severity: a stronger one has nearly all typos of a weaker one, and more
    hit, what, which = rng.random((3, len(text)))
    done: list[str] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if not letter.isalpha() or hit[at] >= RATES[severity - 1]:
            done.append(letter)
        elif what[at] < 1 / 3 and (near := NEIGHBOURS.get(letter.lower())):
            key = near[int(which[at] * len(near))]
            done.append(key.upper() if letter.isupper() else key)
        elif what[at] < 2 / 3 and at + 1 < len(text) and text[at + 1].isalpha():
            done += [text[at + 1], letter]
            at += 1
        at += 1                                                      # else it is left out
    return "".join(done) if any(not letter.isspace() for letter in done) else text


KIND = Kind(name="typos", content=Content.TEXT, change=_change,
            explains="At 2, 4, 8, 12 or 16 % of the letters something goes wrong: a neighbouring key, two letters "
                     "swapped, or one left out.",
            source="three of the four slips of Damerau 1964; rates by Thaw")
