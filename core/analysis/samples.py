"""What a language model said to fixed prompts while it was trained: a column a step, each compared with the untouched
model."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core import files
from core.data import conversations

FILE = "samples.jsonl"
"""In a run folder: a line a recorded step."""
UNTOUCHED = "samples-untouched.json"
"""What the untouched model says, of runs that do not start from it."""


class Kind(StrEnum):
    """A stretch of an answer against that of the untouched model."""

    SAME = "same"
    NEW = "new"
    GONE = "gone"
    """Of the untouched model's answer; no part of this one."""


@dataclass(frozen=True)
class Span:
    """Some words of one kind, white space included."""

    text: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said at one step."""

    step: int
    text: str
    ended: bool
    """Whether it stopped by itself."""
    spans: tuple[Span, ...]
    """Against the untouched model, in order; without those gone they make the text."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One prompt with one seed, and its answers."""

    prompt: str
    """As it is read."""
    seed: int | None
    """None: the likeliest token each time."""
    untouched: str
    answers: tuple[Answer, ...]
    """A step each, ascending; a step that this prompt was not asked at is left out."""

    def at(self, step: int) -> Answer | None:
        """The answer of that step."""
        return next((answer for answer in self.answers if answer.step == step), None)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """All that a run said."""

    steps: tuple[int, ...]
    asked: tuple[Asked, ...]
    starts_untouched: bool
    """Whether step 0 is the untouched model; else it is the run's own start (in 4 bits, or fresh weights)."""


def of_run(folder: Path) -> Samples | None:
    """What a run folder holds; None where it said nothing yet. Made for polling."""
    lines = by_step(folder / FILE)
    if not lines:
        return None
    base = _untouched(folder)
    first = {_key(answer): answer["text"] for answer in (base or lines[min(lines)])["answers"]}
    keys = dict.fromkeys(_key(answer) for line in lines.values() for answer in line["answers"])
    asked = []
    for key in keys:
        reference = first.get(key, "")
        found = [Answer(step=step, text=answer["text"], ended=bool(answer.get("ended")),
                        spans=diff(reference, answer["text"]))
                 for step, line in sorted(lines.items()) for answer in line["answers"] if _key(answer) == key]
        asked.append(Asked(prompt=conversations.readable(key[0]), seed=key[1], untouched=reference,
                           answers=tuple(found)))
    return Samples(steps=tuple(sorted(lines)), asked=tuple(asked), starts_untouched=base is None)


def diff(before: str, after: str) -> tuple[Span, ...]:
    """The words of `after`, and those of `before` that are gone, in order."""
    old, new = (re.findall(r"\s*\S+|\s+$", text) for text in (before, after))
    spans: list[Span] = []
    for what, i1, i2, j1, j2 in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if what == "equal":
            spans.append(Span("".join(new[j1:j2]), Kind.SAME))
            continue
        spans += [Span("".join(old[i1:i2]), Kind.GONE)] if i2 > i1 else []
        spans += [Span("".join(new[j1:j2]), Kind.NEW)] if j2 > j1 else []
    return tuple(spans)


def by_step(path: Path) -> dict[int, dict[str, Any]]:
    """The lines of a file of samples that can be read, by step."""
    return {read["step"]: read for read in files.read_json_lines(path) if _fits(read)}


def _untouched(folder: Path) -> dict[str, Any] | None:
    try:
        found = files.read_json(folder / UNTOUCHED)
    except (OSError, ValueError):
        return None
    return found if _fits(found) else None


def _fits(line: Any) -> bool:
    return (isinstance(line, dict) and isinstance(line.get("step"), int) and isinstance(line.get("answers"), list)
            and all(isinstance(answer, dict) and isinstance(answer.get("prompt"), str)
                    and isinstance(answer.get("text"), str) for answer in line["answers"]))


def _key(answer: dict[str, Any]) -> tuple[str, int | None]:
    seed = answer.get("seed")
    return answer["prompt"], seed if isinstance(seed, int) else None
