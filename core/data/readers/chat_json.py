"""What a conversation looks like in JSON, whoever wrote it: a list of turns, or an object that holds one."""

from __future__ import annotations

from typing import Any

SPEAKER_KEYS, CONTENT_KEYS = ("role", "from", "speaker"), ("content", "value", "text", "parts")
HOLDERS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns", "contents")
"""What the list of turns is called in an object around it."""
_DEEPEST = 3


def in_turn(key: str, value: Any) -> Any:
    """Texts that are said in turn, as LIMA writes conversations, as turns; any other value as it is. Texts that are
    called turns may be questions alone (MT-Bench)."""
    if key.strip().lower() not in HOLDERS or key == "turns" or not isinstance(value, list) or len(value) < 2:
        return value
    if not all(isinstance(said, str) for said in value):
        return value
    return [{"role": ("user", "assistant")[place % 2], "content": said} for place, said in enumerate(value)]


def is_turn(value: Any) -> bool:
    """Whether a value looks like one turn."""
    return (isinstance(value, dict) and any(key in value for key in SPEAKER_KEYS)
            and any(key in value for key in (*CONTENT_KEYS, "tool_calls", "function_call")))


def listed(value: Any, *, deepest: int = _DEEPEST) -> list[Any] | None:
    """The list of turns in a value: itself, or what an object around it holds; None for anything else."""
    if isinstance(value, list):
        return value if any(map(is_turn, value)) else None
    if isinstance(value, dict) and deepest:
        for key in HOLDERS:
            if key in value and (found := listed(value[key], deepest=deepest - 1)) is not None:
                return found
    return None
