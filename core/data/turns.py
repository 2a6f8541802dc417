"""Conversations as other programs write them: the turns of a cell, or why it holds no conversation to learn from.

OpenAI's `messages` (role, content), ShareGPT's `conversations` (from, value), and objects that hold one of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from core.data.conversations import ASSISTANT, SYSTEM, USER, Turn
from core.data.readers import python_values
from core.data.readers.chat_json import CONTENT_KEYS, HOLDERS, SPEAKER_KEYS, listed
from core.data.readers.json_rows import to_text
from core.data.readers.json_shapes import kind_of

_SIDES = {
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt", "chatbot", "ai", "bard", "bing"), ASSISTANT),
    **dict.fromkeys(("system", "developer"), SYSTEM),
}
"""What a side is called elsewhere, in lower case -> what it is called here."""
_TOOLS = frozenset({"tool", "function", "function_call", "function_response", "tool_call", "tool_response",
                    "observation", "ipython", "environment"})
_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})


class NoConversation(ValueError):
    """Why a row holds no conversation to learn from, in words that go on after a row number."""


def value_of(cell: str) -> Any:
    """The JSON (or list as Python writes it) of a cell. Raises NoConversation."""
    try:
        return json.loads(cell)
    except RecursionError as error:
        raise NoConversation("its conversation is nested too deeply") from error
    except ValueError as error:
        why = str(error)
    try:
        return python_values.value(cell)
    except python_values.BROKEN as error:
        raise NoConversation(f"its conversation is not valid JSON: {why[:80]}") from error


def read(cell: str) -> tuple[Turn, ...]:
    """The conversation of a cell, checked. Raises NoConversation."""
    return checked(turns_of(value_of(cell)))


def turns_of(value: Any) -> list[Turn]:
    """The turns of a value, not yet checked as a whole. Raises NoConversation for one that cannot be read."""
    found = listed(value)
    if found is None:
        if value in ([], {}) or (isinstance(value, dict) and any(value.get(key) == [] for key in HOLDERS)):
            raise NoConversation("its conversation has no turns")
        raise NoConversation(f"it holds a {kind_of(value)}, not a list of turns with a role and a content")
    return [_turn(item, number) for number, item in enumerate(found, start=1)]


def _turn(item: Any, number: int) -> Turn:
    if not isinstance(item, dict):
        raise NoConversation(f"turn {number} is a {kind_of(item)}, not an object with a role and a content")
    said_by = next((item[key] for key in SPEAKER_KEYS if item.get(key) is not None), None)
    if said_by is None:
        raise NoConversation(f"turn {number} has no role")
    name = str(said_by).strip().casefold()
    if name in _TOOLS:
        raise NoConversation(f"turn {number} is of a tool ({str(said_by)[:30]!r}); calls of tools are not learned")
    if name not in _SIDES:
        raise NoConversation(f"turn {number} has the role {str(said_by)[:30]!r}, which is none of system, user and "
                             "assistant")
    if item.get("tool_calls") or item.get("function_call"):
        raise NoConversation(f"turn {number} calls a tool; calls of tools are not learned")
    content = next((item[key] for key in CONTENT_KEYS if item.get(key) is not None), None)
    return Turn(_SIDES[name], _content(content, number))


def _content(value: Any, number: int) -> str:
    """The text of a turn, also where it is a list of parts."""
    if isinstance(value, list):
        return "".join(_part(part, number) for part in value)
    if isinstance(value, dict):
        raise NoConversation(f"the content of turn {number} is an object, not text")
    return to_text(value) or ""


def _part(part: Any, number: int) -> str:
    if isinstance(part, dict):
        kind = str(part.get("type", "text"))
        if kind in _TEXT_PARTS and isinstance(part.get("text"), str):
            return str(part["text"])
        raise NoConversation(f"turn {number} holds a part of the kind {kind[:30]!r}, not only text")
    return to_text(part) or ""


def checked(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns, where they are a conversation: a system message or none, then questions and answers in turn, the last
    an answer. An empty system message is none. Raises NoConversation."""
    if not turns:
        raise NoConversation("its conversation has no turns")
    for number, turn in enumerate(turns, start=1):
        if turn.role == SYSTEM and number > 1:
            raise NoConversation(f"turn {number} is a system message, which only stands first")
        if turn.role != SYSTEM and not turn.content.strip():
            raise NoConversation(f"turn {number} ({turn.role}) is empty")
    first = int(turns[0].role == SYSTEM)
    for at in range(first, len(turns)):
        role, wanted = turns[at].role, (USER, ASSISTANT)[(at - first) % 2]
        if role == wanted:
            continue
        raise NoConversation("it begins with an answer, to no question" if at == first else
                             f"turns {at} and {at + 1} are both of the {role}")
    if turns[-1].role != ASSISTANT:
        raise NoConversation("it ends without an answer")
    return tuple(turns if not first or turns[0].content.strip() else turns[1:])
