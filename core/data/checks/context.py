"""What every check gets to see."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.data.conversations import asked_and_answered
from core.data.report import WARNING, Finding, Severity, several
from core.data.rows import Rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """Kept rows with their splits, and groupings that several checks share."""

    rows: Rows
    texts: Sequence[str]
    """Python strings (n_rows,); the names of pictures."""
    split: Any
    """Names of splits (n_rows,)."""
    exact: Any
    """Group number a row: equal for exact duplicates."""
    near: Any
    """Group number a row: equal for exact or near duplicates."""
    roles: Mapping[str, str]
    tokenizer: Path | None = None
    """`tokenizer.json` of the base model, when it is there."""
    max_length: int = 256
    """Longest input of the base model in tokens."""

    @functools.cached_property
    def asked(self) -> tuple[list[str], list[str]]:
        """Of conversations: (what stands before each last answer, the last answers), (n_rows,) each."""
        pairs = [asked_and_answered(text) for text in self.rows.text.to_pylist()]
        return [prompt for prompt, _ in pairs], [answer for _, answer in pairs]

    @property
    def thing(self) -> str:
        """What a row is, for messages: text or picture."""
        return "text" if self.rows.pictures is None else "picture"

    def row_numbers(self, positions: Any) -> tuple[int, ...]:
        """The row numbers of these positions."""
        return tuple(np.asarray(self.rows.row_id)[np.asarray(positions, dtype=np.int64)].tolist())

    def about(self, positions: Any, code: str, subject: tuple[str, str], message: str, *, remedy: str,
              severity: Severity = WARNING, example: str = "", twins: Any = (),
              suggested: tuple[str, ...] = ()) -> Iterator[Finding]:
        """A finding about the rows at these positions; none without any.

        subject: what comes before the message with the count, e.g. (`row has`, `rows have`). example: the first row's
        text unless given. twins: for each of them, the position of the row that it is like.
        """
        if count := len(positions):
            yield Finding(code=code, severity=severity, count=count, rows=self.row_numbers(positions),
                          twins=self.row_numbers(twins), suggested=suggested,
                          example=example or self.quote(int(positions[0])),
                          message=f"{several(count, *subject)} {message}", remedy=remedy)

    def quote(self, position: int, *, chars: int = 100) -> str:
        """The beginning of one text."""
        text = " ".join(self.texts[position][: chars * 2].split())
        return text if len(text) <= chars else text[: chars - 1] + "…"
