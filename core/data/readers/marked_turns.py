"""Conversations that were written into one text with the marks of a template (Llama 2, ChatML, Guanaco), as turns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.data.readers.json_shapes import Item
from core.data.readers.trees import Told

_OTHERS = frozenset({"instruction", "output", "prompt", "completion", "response", "messages", "conversations", "label",
                     "question", "answer"})
_LLAMA = re.compile(r"(?:<s>\s{0,4})?\[INST\](.*?)\[/INST\](.*?)(?:</s>|(?=<s>\s{0,4}\[INST\])|$)", re.DOTALL)
_SYSTEM = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>(.*)", re.DOTALL)
_CHATML = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>", re.DOTALL)
_GUANACO = re.compile(r"### (Human|Assistant):(.*?)(?=### (?:Human|Assistant):|\Z)", re.DOTALL)
Turns = list[dict[str, str]]


def is_marked(item: Mapping[str, Any]) -> bool:
    """Whether an object is a text that is a conversation from its beginning to its end."""
    return isinstance(text := item.get("text"), str) and not _OTHERS & item.keys() and turns_of(text) is not None


def read(item: dict[str, Any], told: Told) -> Item:
    """The object with the turns as `messages`."""
    turns = turns_of(item["text"]) if is_marked(item) else None
    if turns is None:
        return item, ""
    return {"messages": turns, **{key: value for key, value in item.items() if key != "text"}}, ""


def turns_of(text: str) -> Turns | None:
    """The turns of a text; None where it is not marked, or holds anything besides them."""
    for mark, pattern, turns in (("[INST]", _LLAMA, _of_llama), ("<|im_start|>", _CHATML, _of_chatml),
                                 ("### Human:", _GUANACO, _of_guanaco)):
        found = list(pattern.finditer(text)) if mark in text else []
        if found and not pattern.sub("", text).strip():
            return turns(found)
    return None


def _of_llama(found: list[re.Match[str]]) -> Turns:
    turns: Turns = []
    for match in found:
        asked = match[1]
        if not turns and (system := _SYSTEM.fullmatch(asked)):
            turns.append(_turn("system", system[1]))
            asked = system[2]
        turns += [_turn("user", asked), _turn("assistant", match[2])]
    return turns


def _of_chatml(found: list[re.Match[str]]) -> Turns:
    return [_turn(match[1], match[2]) for match in found]


def _of_guanaco(found: list[re.Match[str]]) -> Turns:
    return [_turn({"Human": "user", "Assistant": "assistant"}[match[1]], match[2]) for match in found]


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content.strip()}
