"""Conversations as text: how the rows of a chat dataset are kept. A list of turns as JSON, nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.dataset import Shape

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
ROLES = (SYSTEM, USER, ASSISTANT)
_SAID_BY = {SYSTEM: "System", USER: "User", ASSISTANT: "Assistant"}


@dataclass(frozen=True)
class Turn:
    """What one side says."""

    role: str
    """One of `ROLES`."""
    content: str


def dump(turns: Sequence[Turn]) -> str:
    """The conversation as its row keeps it: equal conversations give equal text."""
    return json.dumps([{"role": turn.role, "content": turn.content} for turn in turns], ensure_ascii=False)


def load(text: str) -> tuple[Turn, ...]:
    """The turns of a row. Raises ValueError for a text that `dump` did not write."""
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError("a conversation is a list of turns")
    try:
        return tuple(Turn(role=str(turn["role"]), content=str(turn["content"])) for turn in found)
    except (TypeError, KeyError) as error:
        raise ValueError("a turn has a role and a content") from error


def shown(texts: Sequence[str], shape: Shape | None) -> list[str]:
    """The texts of rows for people, and for finding what is alike: conversations as they read, others as they are."""
    return list(map(readable, texts)) if shape is Shape.CHAT else list(texts)


def asked_and_answered(text: str) -> tuple[str, str]:
    """(all before the last answer as it reads, the last answer) of a row that `dump` wrote."""
    *before, last = load(text)
    return readable(dump(before)), last.content


def readable(text: str) -> str:
    """A row for people: each turn on lines of its own behind who says it; a text that is no conversation as it is."""
    try:
        turns = load(text)
    except (ValueError, RecursionError):
        return text
    if not turns:
        return text
    return "\n".join(f"{_SAID_BY.get(turn.role, turn.role)}: {turn.content}" for turn in turns)
