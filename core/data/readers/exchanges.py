"""Objects of sets for language models that hold conversations otherwise than as turns or as prompt and response: each
kind is known by its keys and values in the first rows, and read as one of the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from core.data.readers import answers, marked_turns, trees
from core.data.readers.chat_json import HOLDERS
from core.data.readers.json_shapes import Item
from core.data.readers.trees import Told
from core.data.report import INFO, Finding, several

_SAMPLE = 50
_SYSTEM = ("system", "systemInstruction", "system_instruction")
_NAMED = frozenset({"prompt", "mapping", "chat_messages", "message_id", "instances", "chosen", "preferred_output",
                    "label", "human_ref_A", "conversation_a", "choices", "options", "data", "history", "answers",
                    "answer", "responses", "completions", "human_answers", "question", "text", *_SYSTEM, *HOLDERS})
"""A key of each kind; without one of them no row is looked into."""


@dataclass
class Rearranged:
    """The objects as they are to be read, and what is to be said of them once they are."""

    items: Iterable[Item]
    told: Told = field(default_factory=Counter)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(Finding(code="other-answers", severity=INFO, count=count,
                             message=f"{several(count, 'answer was', 'answers were')} not taken: {how}.",
                             remedy="Nothing to do; to learn others, write them as rows of their own.")
                     for how, count in self.told.items() if count)


Reader = Callable[[Iterable[Item], Told], Iterator[Item]]


def rearranged(items: Iterable[Item]) -> Rearranged:
    """The items, as rows with turns or with a prompt and a response where most of the first are of a known kind."""
    source = iter(items)
    ahead = list(islice(source, _SAMPLE))
    found = Rearranged(chain(ahead, source))
    if (read := reader_of([item for item, problem in ahead if not problem and isinstance(item, dict)])) is not None:
        found.items = read(found.items, found.told)
    return found


def reader_of(rows: Sequence[Mapping[str, Any]]) -> Reader | None:
    """How rows like these are read; None where they are of no kind that is known."""
    if not any(may_be(row) for row in rows):
        return None
    return next((read for fits, read in _KINDS if sum(map(fits, rows)) > len(rows) / 2), None)


def may_be(names: Iterable[str]) -> bool:
    """Whether rows with values of these names may be of a known kind."""
    return not _NAMED.isdisjoint(names)


def _each(change: Callable[[dict[str, Any], Told], Item]) -> Reader:
    def read(items: Iterable[Item], told: Told) -> Iterator[Item]:
        for item, problem in items:
            yield (item, problem) if problem or not isinstance(item, dict) else change(item, told)
    return read


def _instances(items: Iterable[Item], told: Told) -> Iterator[Item]:
    for item, problem in items:
        if problem or not isinstance(item, dict) or not answers.has_instances(item):
            yield item, problem
        else:
            yield from answers.instances(item)


# -- texts in turn -----------------------------------------------------------------------------------------------------


def _texts_in(item: Mapping[str, Any]) -> str | None:
    """The key of texts that are said in turn; `data` only beside an id (UltraChat)."""
    keys = ("data", *HOLDERS) if item.keys() <= {"id", "data"} else HOLDERS
    return next((key for key in keys if isinstance(said := item.get(key), list) and len(said) > 1
                 and all(isinstance(text, str) for text in said)), None)


def _is_in_turn(item: Mapping[str, Any]) -> bool:
    return _texts_in(item) is not None


def _in_turn(item: dict[str, Any], told: Told) -> Item:
    """Texts as turns. `turns` are questions alone (MT-Bench), with the answers beside them or without."""
    if (key := _texts_in(item)) is None:
        return item, ""
    said = item[key]
    if key == "turns":
        replies = item.get("reference")
        if not isinstance(replies, list) or len(replies) != len(said):
            return None, "its turns are texts that do not say who speaks, and there is no answer to each of them"
        said = [text for pair in zip(said, replies, strict=True) for text in pair]
    turns = [_turn(place, text) for place, text in enumerate(said)]
    return {key if key in HOLDERS else "messages": turns,
            **{name: value for name, value in item.items() if name not in (key, "reference")}}, ""


def _turn(place: int, text: Any) -> dict[str, Any]:
    return {"role": ("user", "assistant")[place % 2], "content": text}


_PROMPTS, _RESPONSES = ("instruction", "prompt", "query"), ("output", "response")


def _has_history(item: Mapping[str, Any]) -> bool:
    return (answers.pairs_of(item.get("history")) is not None and any(key in item for key in _PROMPTS)
            and any(key in item for key in _RESPONSES))


def _with_history(item: dict[str, Any], told: Told) -> Item:
    """Earlier questions and answers, then the last of each, as turns."""
    pairs = answers.pairs_of(item.get("history"))
    if pairs is None:
        return item, ""
    asked = [str(item.get(key) or "") for key in (*_PROMPTS, "input")]
    answered = next((item[key] for key in _RESPONSES if key in item), None)
    said = [*(text for pair in pairs for text in pair), "\n\n".join(filter(str.strip, asked)), answered]
    row = {key: value for key, value in item.items() if key not in ("history", "input", *_PROMPTS, *_RESPONSES)}
    return {**row, "messages": [_turn(place, text) for place, text in enumerate(said)]}, ""


# -- system messages ---------------------------------------------------------------------------------------------------


def _parts(value: Any) -> list[str] | None:
    """The texts of `[{"text": …}]` or `{"parts": [{"text": …}]}`; None for anything else."""
    value = value.get("parts") if isinstance(value, dict) else value
    if not isinstance(value, list) or not value:
        return None
    found = [part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return found if len(found) == len(value) else None


def _has_system(item: Mapping[str, Any]) -> bool:
    return any(_parts(item.get(key)) is not None for key in _SYSTEM)


def _system(item: dict[str, Any], told: Told) -> Item:
    """What the system says in parts (Gemini, Bedrock) as one text."""
    return {("system" if key in _SYSTEM else key): value if key not in _SYSTEM or (said := _parts(value)) is None
            else "\n".join(said) for key, value in item.items()}, ""


_KINDS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Reader], ...] = (
    (trees.is_tree, trees.of_trees),
    (trees.is_message, trees.of_messages),
    (trees.is_export, trees.of_exports),
    (trees.is_chat, trees.of_chats),
    (answers.has_instances, _instances),
    (answers.has_preference, _each(answers.preferred)),
    (answers.is_marked, _each(answers.wanted_only)),
    (answers.is_pair, _each(answers.better)),
    (answers.is_battle, _each(answers.winner)),
    (answers.has_choices, _each(answers.choice)),
    (answers.has_answers, _each(answers.best_answer)),
    (_is_in_turn, _each(_in_turn)),
    (_has_history, _each(_with_history)),
    (_has_system, _each(_system)),
    (marked_turns.is_marked, _each(marked_turns.read)),
)
"""Whether an object is of a kind, and how such are read."""
