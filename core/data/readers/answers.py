"""Rows with several answers, or with wanted and unwanted ones, as rows with the answer to learn.

Each function takes an object and returns it with a prompt and a response (or `messages`), or None and why it is left
out; `told` counts the answers that were not chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.data.readers.chat_json import HOLDERS, is_turn, listed
from core.data.readers.json_shapes import Item
from core.data.readers.trees import Told

CHOSEN = "of several answers to a question the accepted one, else the best-rated, else the first is learned"
PREFERRED = "of two answers the preferred one is learned"
_QUESTIONS = ("question", "instruction", "prompt", "query", "input", "title")
_ANSWERS = ("answers", "answer", "responses", "completions", "human_answers")
_TEXTS = ("text", "body", "answer", "response", "content", "completion", "value")
_ACCEPTED = ("accepted", "is_accepted", "isAccepted", "selected")
_SCORES = ("overall_score", "pm_score", "score", "Score", "votes", "upvotes", "rating")
_BODIES = ("body", "selftext")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NO_ANSWER = "it has no answer"


# -- several answers ---------------------------------------------------------------------------------------------------


def has_answers(item: Mapping[str, Any]) -> bool:
    """Whether an object is a question with a list of answers."""
    return (any(isinstance(item.get(key), str) for key in _QUESTIONS) and _answers_key(item) is not None
            and not isinstance(item.get("answer"), str)
            and not {"label", "labels", "output", "response", "messages"} & item.keys())


def _answers_key(item: Mapping[str, Any]) -> str | None:
    return next((key for key in _ANSWERS if key in item and _candidates(item[key]) is not None), None)


def _candidates(value: Any) -> list[dict[str, Any]] | None:
    """The answers of a list or of an object of lists, each an object with a text; None for anything else."""
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        n = len(value["text"])
        lists = {key: part for key, part in value.items() if isinstance(part, list) and len(part) == n}
        value = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    elif isinstance(value, dict) and isinstance(value.get("value"), str):
        value = [value]
    if not isinstance(value, list):
        return None
    found = [{"text": answer} if isinstance(answer, str) else answer for answer in value]
    return found if all(isinstance(answer, dict) and _text(answer) is not None for answer in found) else None


def _text(answer: Mapping[str, Any]) -> str | None:
    return next((answer[key] for key in _TEXTS if isinstance(answer.get(key), str)), None)


def best_answer(item: dict[str, Any], told: Told) -> Item:
    """The object with its best answer as `answer`; a title and a body are the question together."""
    key = _answers_key(item)
    if key is None:
        return item, ""
    candidates = _candidates(item[key]) or []
    row = {name: value for name, value in item.items() if name != key}
    if not candidates:
        return None, _NO_ANSWER
    best = max(candidates, key=_worth)                               # the first of equal ones
    texts = {_text(answer) for answer in candidates}
    told[CHOSEN] += len(texts) - 1
    if not any(isinstance(row.get(name), str) for name in _QUESTIONS[:-1]):
        said = [row.pop(name) for name in ("title", *_BODIES) if isinstance(row.get(name), str)]
        row = {**row, "question": "\n\n".join(part for part in said if part.strip())}
    return {**row, "answer": _text(best)}, ""


def _worth(answer: Mapping[str, Any]) -> tuple[bool, float]:
    score = next((answer[key] for key in _SCORES if isinstance(answer.get(key), (int, float))), 0.0)
    return any(answer.get(key) is True for key in _ACCEPTED), float(score)


def has_instances(item: Mapping[str, Any]) -> bool:
    """Whether an object is a task with instances (the seed tasks of self-instruct)."""
    found = item.get("instances")
    return (isinstance(item.get("instruction"), str) and isinstance(found, list) and bool(found)
            and all(isinstance(instance, dict) and "output" in instance for instance in found))


def instances(item: dict[str, Any]) -> Iterator[Item]:
    """A row an instance."""
    row = {key: value for key, value in item.items() if key != "instances"}
    for instance in item["instances"]:
        yield {**row, **instance}, ""


# -- wanted and unwanted answers ---------------------------------------------------------------------------------------


def has_preference(item: Mapping[str, Any]) -> bool:
    """Whether an object is a conversation whose next turn was chosen and another rejected."""
    return _asked(item) is not None and bool(_wanted(item))


def _asked(item: Mapping[str, Any]) -> list[Any] | None:
    return next((turns for key in ("input", *HOLDERS) if (turns := listed(item.get(key))) is not None), None)


def _wanted(item: Mapping[str, Any]) -> list[Any]:
    """The turns that were preferred; empty where the object holds whole conversations, or none."""
    found = item.get("preferred_output", item.get("chosen"))
    if is_turn(found):
        return [found]
    return found if isinstance(found, list) and "preferred_output" in item and all(map(is_turn, found)) else []


def preferred(item: dict[str, Any], told: Told) -> Item:
    """The object with the conversation and what was chosen as `messages`."""
    turns, wanted = _asked(item), _wanted(item)
    if turns is None or not wanted:
        return item, ""
    told[PREFERRED] += 1
    gone = {"input", "chosen", "rejected", "preferred_output", "non_preferred_output", *HOLDERS}
    return {**{key: value for key, value in item.items() if key not in gone}, "messages": [*turns, *wanted]}, ""


def is_marked(item: Mapping[str, Any]) -> bool:
    """Whether an object is an answer that is marked as wanted or unwanted (KTO)."""
    return isinstance(item.get("label"), bool) and {"prompt", "completion"} <= item.keys()


def wanted_only(item: dict[str, Any], told: Told) -> Item:
    """The object where its answer is wanted."""
    return (item, "") if item.get("label") is not False else (None, "its answer is marked as unwanted (label is false)")


def is_pair(item: Mapping[str, Any]) -> bool:
    """Whether an object holds two answers of people and which is the better (SHP)."""
    return ({"history", "human_ref_A", "human_ref_B", "labels"} <= item.keys()) and item["labels"] in (0, 1)


def better(item: dict[str, Any], told: Told) -> Item:
    """The object as prompt and response."""
    if not is_pair(item):
        return item, ""
    told[PREFERRED] += 1
    row = {key: value for key, value in item.items() if key in ("post_id", "domain")}
    return {**row, "prompt": item["history"], "response": item["human_ref_A" if item["labels"] else "human_ref_B"]}, ""


def is_battle(item: Mapping[str, Any]) -> bool:
    """Whether an object holds two conversations and which won (Chatbot Arena)."""
    return (isinstance(item.get("winner"), str) and listed(item.get("conversation_a")) is not None
            and listed(item.get("conversation_b")) is not None)


def winner(item: dict[str, Any], told: Told) -> Item:
    """The object with the conversation that won as `messages`."""
    if not is_battle(item):
        return item, ""
    won = {"model_a": "conversation_a", "model_b": "conversation_b"}.get(item["winner"])
    if won is None:
        return None, f"neither of its conversations won ({item['winner'][:40]!r})"
    told[PREFERRED] += 1
    row = {key: value for key, value in item.items() if key not in ("conversation_a", "conversation_b", "winner")}
    return {**row, "messages": item[won]}, ""


# -- answers to choose from --------------------------------------------------------------------------------------------


def has_choices(item: Mapping[str, Any]) -> bool:
    """Whether an object is a question with lettered or numbered answers, of which one is right (MMLU, ARC)."""
    item = _lifted(item)
    return isinstance(item.get("question"), str) and _choices(item) is not None and _right(item) is not None


def _lifted(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object with the parts of a question that is an object of its own beside the others."""
    inner = item.get("question")
    if not isinstance(inner, dict) or "stem" not in inner:
        return item
    return {**item, "question": inner["stem"], "choices": inner.get("choices")}


def _choices(item: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """(letter, text) of each choice."""
    found = item.get("choices", item.get("options"))
    if isinstance(found, dict) and all(isinstance(found.get(key), list) for key in ("text", "label")):
        found = [{"text": text, "label": label} for text, label in zip(found["text"], found["label"], strict=False)]
    if isinstance(found, dict):
        found = [{"text": text, "label": label} for label, text in found.items()]
    if not isinstance(found, list) or not 2 <= len(found) <= len(_LETTERS):
        return None
    if all(isinstance(choice, str) for choice in found):
        return list(zip(_LETTERS, found, strict=False))
    if all(isinstance(choice, dict) and {"text", "label"} <= choice.keys() for choice in found):
        return [(str(choice["label"]), str(choice["text"])) for choice in found]
    return None


def _right(item: Mapping[str, Any]) -> str | None:
    """The letter of the right choice."""
    said = next((item[key] for key in ("answerKey", "answer_idx", "answer") if item.get(key) not in (None, "")), None)
    choices = _choices(item) or []
    if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < len(choices):
        return choices[said][0]
    return next((letter for letter, text in choices if said in (letter, text)), None)


def choice(item: dict[str, Any], told: Told) -> Item:
    """The object with its choices as text and the letter of the right one as `answer`."""
    whole = _lifted(item)
    choices, right = _choices(whole), _right(whole)
    if choices is None:
        return item, ""
    if right is None:
        return None, "none of its choices is marked as right"
    gone = ("choices", "options", "answerKey", "answer_idx", "answer")
    row = {key: value for key, value in whole.items() if key not in gone}
    return {**row, "choices": "\n".join(f"{letter}. {text}" for letter, text in choices), "answer": right}, ""


def pairs_of(value: Any) -> Sequence[Sequence[str]] | None:
    """A list of pairs of a question and its answer; None for anything else."""
    fits = isinstance(value, list) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(said, str) for said in pair)
        for pair in value)
    return value if fits else None
