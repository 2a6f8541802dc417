"""Objects of sets for language models that hold conversations otherwise than as turns or as prompt and response: each
kind is known by its keys and values in the first rows, and read as one of the two."""

from __future__ import annotations

import re
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
_FEW = 0.1
_SYSTEM = ("system", "systemInstruction", "system_instruction")
_NAMED = frozenset({"prompt", "mapping", "chat_messages", "message_id", "instances", "chosen", "preferred_output",
                    "instruction", "plain_text", "content", "personality", "story",
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
        return tuple(_NOTES[how](count) if how in _NOTES else
                     Finding(code="other-answers", severity=INFO, count=count,
                             message=f"{several(count, 'answer was', 'answers were')} not taken: {how}.",
                             remedy="Nothing to do; to learn others, write them as rows of their own.")
                     for how, count in self.told.items() if count)


def _marks_read(count: int) -> Finding:
    return Finding(code="marks-read", severity=INFO, count=count,
                   message=f"In {several(count, 'row', 'rows')} marks in the text say who speaks: the column "
                           "'messages' holds these turns, and the model's own template takes the place of the marks.",
                   remedy="Nothing to do; to learn the texts with their marks, choose texts as what the rows are "
                          "(--shape text).")


def _ends_taken(count: int) -> Finding:
    return Finding(code="ends-taken-off", severity=INFO, count=count,
                   message=f"Of {several(count, 'row', 'rows')} the marks at the ends of prompt and completion (###, "
                           "->, END) were taken off: the model's own template takes their place.",
                   remedy="Nothing to do.")


_NOTES = {marked_turns.MARKED: _marks_read, marked_turns.SEPARATED: _ends_taken}
"""What `told` counts besides answers -> what is said of it."""


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
    return next((read for fits, read in _KINDS if _are(fits, rows)), None)


def _are(fits: Callable[[Mapping[str, Any]], bool], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether most rows are of a kind; nearly all (all but one of a few), where texts and not keys tell it."""
    others = len(rows) - sum(map(fits, rows))
    return others < len(rows) / 2 and (fits not in _BY_TEXT or others <= max(1, _FEW * len(rows)))


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


def _pairs_in(item: Mapping[str, Any]) -> str | None:
    """The key of a list of exchanges, each an object with what was asked and what was answered (Capybara)."""
    return next((key for key in HOLDERS if isinstance(said := item.get(key), list) and said and all(
        isinstance(pair, dict) and isinstance(pair.get("input"), str) and isinstance(pair.get("output"), str)
        for pair in said)), None)


def _is_in_pairs(item: Mapping[str, Any]) -> bool:
    return _pairs_in(item) is not None


def _in_pairs(item: dict[str, Any], told: Told) -> Item:
    if (key := _pairs_in(item)) is None:
        return item, ""
    said = [text for pair in item[key] for text in (pair["input"], pair["output"])]
    return {**item, key: [_turn(place, text) for place, text in enumerate(said)]}, ""


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


CANDIDATES = "of the candidates for a reply the last, which was said, is learned"


def _is_persona(item: Mapping[str, Any]) -> bool:
    """Whether an object is a talk of PersonaChat: a personality, and for each reply what was said before and the
    candidates."""
    said = item.get("utterances")
    return isinstance(item.get("personality"), list) and isinstance(said, list) and bool(said) and all(
        isinstance(part, dict) and _are_texts(part.get("history")) and _are_texts(part.get("candidates"))
        for part in said)


def _persona(item: dict[str, Any], told: Told) -> Item:
    """The talk up to its last reply as turns; the personality is told to the system."""
    if not _is_persona(item):
        return item, ""
    last = item["utterances"][-1]
    told[CANDIDATES] += sum(len(part["candidates"]) - 1 for part in item["utterances"])
    system = {"role": "system", "content": "\n".join(map(str, item["personality"]))}
    said = [*last["history"], last["candidates"][-1]]
    row = {key: value for key, value in item.items() if key not in ("personality", "utterances")}
    return {**row, "messages": [system, *(_turn(place, text) for place, text in enumerate(said))]}, ""


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


def _is_story(item: Mapping[str, Any]) -> bool:
    """Whether an object is a text with questions that follow each other and their answers (CoQA)."""
    asked, answered = _said_of(item.get("questions")), _said_of(item.get("answers"))
    return isinstance(item.get("story"), str) and bool(asked) and len(asked or ()) == len(answered or ())


def _said_of(value: Any) -> list[str] | None:
    """The texts of a list of texts or of objects with `input_text`, or of an object of such lists; None for others."""
    value = value.get("input_text") if isinstance(value, dict) else value
    found = [part.get("input_text") if isinstance(part, dict) else part for part in value] if isinstance(
        value, list) else []
    return [text for text in found if isinstance(text, str)] if _are_texts(found) else None


def _story(item: dict[str, Any], told: Told) -> Item:
    """Questions and answers as turns; the text goes with the first question."""
    if not _is_story(item):
        return None, "its questions and answers are not lists of texts that are equally long"
    asked, answered = _said_of(item["questions"]) or [], _said_of(item["answers"]) or []
    asked = [f"{asked[0]}\n\n{item['story']}", *asked[1:]]
    row = {key: value for key, value in item.items()
           if key not in ("story", "questions", "answers", "additional_answers")}
    return {**row, "messages": [_turn(place, text) for place, text in enumerate(
        text for pair in zip(asked, answered, strict=True) for text in pair)]}, ""


_NUMBERED, _UNUSED = re.compile(r"turn_(\d+)"), re.compile(r"(<\|[\w ]+\|>:)?\s*(None)?\s*(<eo\w>)?\s*")
_MARK, _CLOSE = re.compile(r"\s*<\|[\w ]+\|>:"), re.compile(r"<eo[hm]>\s*\Z")


def _is_numbered(item: Mapping[str, Any]) -> bool:
    """Whether an object holds numbered turns with what either side says and thinks (MOSS)."""
    chat = item.get("chat")
    chat = {key: turn for key, turn in chat.items() if turn is not None} if isinstance(chat, dict) else {}
    return bool(chat) and all(
        _NUMBERED.fullmatch(str(key)) and isinstance(turn, dict) and {"Human", "MOSS"} <= turn.keys()
        and all(isinstance(text, str) for text in turn.values())
        for key, turn in chat.items())


def _numbered(item: dict[str, Any], told: Told) -> Item:
    """The turns in their order; a talk in which tools were called is left out."""
    if not _is_numbered(item):
        return item, ""
    turns = [item["chat"][key] for key in sorted(item["chat"], key=lambda key: int(str(key).removeprefix("turn_")))
             if item["chat"][key] is not None]
    if any(not _UNUSED.fullmatch(text) for turn in turns for key, text in turn.items() if key not in ("Human", "MOSS")):
        return None, "it calls a tool, or thinks; neither is learned"
    said = [_CLOSE.sub("", text[match.end() if (match := _MARK.match(text)) else 0:]).strip()
            for turn in turns for text in (turn["Human"], turn["MOSS"])]
    row = {("system" if key == "meta_instruction" else key): value for key, value in item.items()
           if key not in ("chat", "num_turns")}
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
    (_is_in_pairs, _each(_in_pairs)),
    (_has_history, _each(_with_history)),
    (_has_system, _each(_system)),
    (_is_persona, _each(_persona)),
    (_is_story, _each(_story)),
    (_is_numbered, _each(_numbered)),
    (marked_turns.is_marked, _each(marked_turns.read)),
    (marked_turns.is_separated, _each(marked_turns.without_ends)),
)
"""Whether an object is of a kind, and how such are read."""
_BY_TEXT = (marked_turns.is_marked, marked_turns.is_separated)
"""Kinds that are known by what a text holds, not by keys: nearly all rows must be of them."""
