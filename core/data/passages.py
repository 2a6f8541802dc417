"""Long texts cut into passages: at the end of a paragraph, else of a sentence, else of a word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

PASSAGE_TOKENS = 220
"""Leaves room below a length of 256 for a tokenizer that needs more tokens than are reckoned here."""
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE = re.compile(r"""(?:[.!?…]["'”’»)\]]*\s+|[。！？]["'”’」』)\]]*|\n)""")
_WORD = re.compile(r"\s+")
_WIDE_FROM = 0x2E80
"""The first character of the scripts that are written without spaces, about one token a character."""
_LEAST = (0.5, 0.3, 0.0)
"""How full a passage is at least when it ends with a paragraph, a sentence, a word."""
_REST_TOKENS = 12
"""A shorter rest stays with the passage before it."""


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """How long passages are, in tokens that are reckoned from characters (see `tokens_of`)."""

    tokens: int = PASSAGE_TOKENS
    """0 cuts nothing."""
    overlap: int = 0
    """Tokens of a passage that the next one begins with."""


def tokens_of(text: str) -> npt.NDArray[np.float64]:
    """What each character adds to the tokens of a text, about: a quarter for ASCII, a half for other letters, one for
    scripts without spaces, (n_characters,)."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), dtype="<u4")
    return np.select([codes < 128, codes < _WIDE_FROM], [0.25, 0.5], default=1.0)


def cut(text: str, cutting: Cutting) -> list[str]:
    """The passages of a text in order; nothing but blanks between them is lost. A text of no more tokens is one."""
    limit = float(cutting.tokens)
    reached = np.concatenate([[0.0], np.cumsum(tokens_of(text))])    # tokens before each character
    if limit <= 0 or reached[-1] <= limit:
        return [text] if text.strip() else []
    breaks = [np.asarray([match.end() for match in pattern.finditer(text)], dtype=np.int64)
              for pattern in (_PARAGRAPH, _SENTENCE, _WORD)]
    found, start = [], 0
    while start < len(text):
        end = _end(start, reached, breaks, limit)
        found.append(text[start:end].strip())
        start = end if end >= len(text) else max(_back(end, reached, breaks[2], cutting), start + 1)
    return [passage for passage in found if passage]


def _end(start: int, reached: npt.NDArray[np.float64], breaks: list[npt.NDArray[np.int64]], limit: float) -> int:
    """Where the passage that begins here ends."""
    if reached[-1] - reached[start] <= limit + _REST_TOKENS:
        return len(reached) - 1
    last = max(start + 1, int(np.searchsorted(reached, reached[start] + limit, side="right")) - 1)
    for places, least in zip(breaks, _LEAST, strict=True):
        at = int(np.searchsorted(places, last, side="right")) - 1
        if at >= 0 and places[at] > start and reached[places[at]] - reached[start] >= least * limit:
            return int(places[at])
    return last


def _back(end: int, reached: npt.NDArray[np.float64], words: npt.NDArray[np.int64], cutting: Cutting) -> int:
    """Where the next passage begins: here, or up to `overlap` tokens before, at a word."""
    overlap = min(cutting.overlap, cutting.tokens // 2)
    if overlap <= 0:
        return end
    wanted = int(np.searchsorted(reached, reached[end] - overlap, side="left"))
    at = int(np.searchsorted(words, wanted, side="left"))
    return int(words[at]) if at < len(words) and words[at] < end else end
