"""How a model writes a conversation: its own chat template, or a plain format for a base model, with what was found
about the template and how that is handled. No torch.

The plain format of a model without a template, one paragraph a turn (`⏎` is a line break, `<eos>` the tokenizer's end
token; a blank line where it has none)::

    System: Answer in one word.⏎⏎User: Where is Oslo?⏎⏎Assistant: Norway<eos>⏎⏎User: And Rome?⏎⏎Assistant: Italy<eos>

Answers are found by characters: transformers' own mask where the template has generation marks; else each answer begins
where the conversation before it, rendered with the generation prompt, ends. That this beginning really is one is
checked for every answer; where a template rewrites what went before, answers are found by rendering marks in their
places. What cannot be found either way is not taught, and counted.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.data.conversations import Turn

VERSION = 1
"""Part of what encoded rows are kept under: raise it when the same conversation becomes other tokens."""
ASSISTANT, USER, SYSTEM = "assistant", "user", "system"
NAMES = {SYSTEM: "System", USER: "User", ASSISTANT: "Assistant"}
MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")
THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
DATE = "26 Jul 2024"
"""What templates that write today's date are given (Llama 3's own default), so that a run means the same tomorrow."""


@dataclass(frozen=True)
class Answer:
    """Where an answer stands in a rendered text, in characters. stop: behind its end token where it has one; end: where
    that begins (`stop` without one)."""

    start: int
    end: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A conversation as the model reads it. missed: answers that were not found in it."""

    text: str
    answers: tuple[Answer, ...]
    missed: int = 0
    refusal: str = ""
    """Why the template does not render it; the text is then the plain format's, and no answer is known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Format:
    """How a model writes rows, and what is to be known of it. Made by `format_of`."""

    tokenizer: Any
    name: str
    plain: bool
    notes: tuple[str, ...] = ()
    """Of conversations."""
    passage_notes: tuple[str, ...] = ()
    """Of passages, which no template writes."""
    marks: bool = False
    """Whether the template marks what the assistant generates."""
    folds_system: bool = False
    """Whether system texts become the beginning of the first user turn."""
    joins: bool = False
    """Whether turns of one role in a row are joined."""
    header: str = ""
    """What the template writes before an answer that its generation prompt (which it has not) would hold."""
    leads: tuple[str, ...] = ("",)
    """What the template puts at the beginning of answers, and the model has to say (an empty thought)."""
    ends: tuple[str, ...] = ()
    """What stands behind an answer up to its end token."""

    @functools.cached_property
    def digest(self) -> str:
        """What encoded rows depend on, besides the model's files."""
        template = getattr(self.tokenizer, "chat_template", None)
        said = json.dumps([VERSION, type(self.tokenizer).__name__, self.plain, template], sort_keys=True, default=str)
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @functools.cached_property
    def special(self) -> frozenset[int]:
        """Ids of tokens that stand for no text."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        return frozenset([*self.tokenizer.all_special_ids, *(id for id, token in added.items() if token.special)])

    def prompt(self, turns: Sequence[Turn]) -> str:
        """What the model is given to answer the last turn. Raises ValueError where the template refuses it."""
        fitted = self._fitted(turns)
        if self.plain:
            return _plain(fitted, self._end)[0] + f"{NAMES[ASSISTANT]}:"
        text = self._write(fitted, prompt=True)
        return text + self.header

    def render(self, turns: Sequence[Turn]) -> Rendered:
        """The whole conversation, and where its answers are."""
        if self.plain:
            text, known = _plain(turns, self._end)
            return Rendered(text=text, answers=tuple(known))
        fitted = self._fitted(turns)
        try:
            text = self._write(fitted)
        except ValueError as error:
            return Rendered(text=_plain(turns, self._end)[0], answers=(), refusal=str(error),
                            missed=sum(turn.role == ASSISTANT for turn in turns))
        places = [at for at, turn in enumerate(fitted) if turn.role == ASSISTANT]
        answers: list[Answer | None] = list(self._by_marks(fitted, text)) if self.marks else []
        if len(answers) != len(places):
            answers = [self._by_beginning(fitted, at, text) for at in places]
        if None in answers:
            answers = self._by_content(fitted, places, text) or answers
        found = [answer for answer in answers if answer is not None]
        if not self.ends and found and not text[found[-1].stop:].strip() and self._eos:
            last = found[-1]
            text = text[:last.stop] + self._eos
            found[-1] = replace(last, stop=len(text))
        return Rendered(text=text, answers=tuple(found), missed=len(places) - len(found))

    @property
    def _eos(self) -> str:
        return str(self.tokenizer.eos_token or "")

    @property
    def _end(self) -> str:
        return self._eos or "\n\n"

    def _write(self, turns: Sequence[Turn], *, prompt: bool = False) -> str:
        return write(self.tokenizer, turns, prompt=prompt)

    def _fitted(self, turns: Sequence[Turn]) -> list[Turn]:
        """The turns as this template takes them."""
        found = list(turns)
        if self.folds_system and any(turn.role == SYSTEM for turn in found):
            system = "\n\n".join(turn.content for turn in found if turn.role == SYSTEM)
            found = [turn for turn in found if turn.role != SYSTEM]
            if found and found[0].role == USER:
                found[0] = Turn(USER, f"{system}\n\n{found[0].content}")
            else:
                found.insert(0, Turn(USER, system))
        return _joined(found) if self.joins else found

    def _by_marks(self, turns: list[Turn], text: str) -> list[Answer]:
        """What the template marks as generated, and the end token behind it where the mark leaves that out."""
        found = []
        for start, end in marked(self.tokenizer, turns, text):
            mark = next((mark for mark in self.ends if text.endswith(mark, start, end)), "")
            found.append(Answer(start, end - len(mark), end) if mark else self._ended(text, start, end))
        return found

    def _by_beginning(self, turns: list[Turn], at: int, text: str) -> Answer | None:
        """The answer that follows what the template makes of the turns before it."""
        try:
            before = self._write(turns[:at], prompt=True) if at else None
        except ValueError:
            before = None
        if before is None or not text.startswith(before):
            return None
        start = len(before)
        if self.header and text.startswith(self.header, start):
            start += len(self.header)
        for content in _versions(turns[at].content):
            place = text.find(content, start)
            if place >= 0 and self._is_lead(text[start:place]):
                return self._ended(text, start, place + len(content))
        return None

    def _is_lead(self, between: str) -> bool:
        return between in self.leads or not between.strip() or THOUGHT.fullmatch(between) is not None

    def _by_content(self, turns: list[Turn], places: list[int], text: str) -> list[Answer | None] | None:
        """All answers, where the text is what the template makes of the other turns, with the answers in between."""
        words = [f"thawanswer{number}thaw" for number in range(len(places))]
        marked = list(turns)
        for word, at in zip(words, places, strict=True):
            marked[at] = Turn(ASSISTANT, word)
        try:
            pieces = re.split("|".join(words), self._write(marked))
        except ValueError:
            return None
        if len(pieces) != len(places) + 1 or not text.startswith(pieces[0]):
            return None
        found: list[Answer | None] = []
        position = len(pieces[0])
        for at, behind in zip(places, pieces[1:], strict=True):
            fitting = [content for content in _versions(turns[at].content)
                       if text.startswith(content + behind, position)]
            if not fitting:
                return None
            stop = position + len(fitting[0])
            found.append(self._ended(text, position, stop))
            position = stop + len(behind)
        return found if position == len(text) else None

    def _ended(self, text: str, start: int, end: int) -> Answer:
        return next((Answer(start, end, end + len(mark)) for mark in self.ends if text.startswith(mark, end)),
                    Answer(start, end, end))


def write(tokenizer: Any, turns: Sequence[Turn], *, prompt: bool = False) -> str:
    """The tokenizer's template on these turns, as text. Raises ValueError, with its own words, where it refuses
    them."""
    said = [{"role": turn.role, "content": turn.content} for turn in turns]
    try:
        return str(tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=prompt, date_string=DATE))
    except MemoryError:
        raise
    except Exception as error:  # templates are programs, and raise what they like
        raise ValueError(str(error).strip().split("\n")[0][:200] or type(error).__name__) from error


def marked(tokenizer: Any, turns: Sequence[Turn], text: str) -> list[tuple[int, int]]:
    """The characters (start, end) that the template marks as generated, as `apply_chat_template` finds them for its
    `return_assistant_tokens_mask`; none where it renders another text."""
    from transformers.utils.chat_template_utils import render_jinja_template

    said = [{"role": turn.role, "content": turn.content} for turn in turns]
    texts, spans = render_jinja_template(  # type: ignore[misc]  # typed as if it gave the text alone
        conversations=[said], chat_template=tokenizer.get_chat_template(), return_assistant_tokens_mask=True,
        **{**tokenizer.special_tokens_map, "date_string": DATE})
    return [(int(start), int(end)) for start, end in spans[0]] if texts[0] == text else []


def _plain(turns: Sequence[Turn], end: str) -> tuple[str, list[Answer]]:
    """The plain format; see the head of this file."""
    text, answers = "", []
    for turn in turns:
        text += f"{NAMES.get(turn.role, turn.role)}:"
        start = len(text)
        text += f" {turn.content.strip()}"
        stop = len(text)
        if turn.role == ASSISTANT:
            text += end
            answers.append(Answer(start, stop, len(text)))
        text += "" if text.endswith("\n\n") else "\n\n"
    return (text if not turns or turns[-1].role != ASSISTANT else text[:answers[-1].stop]), answers


def _joined(turns: Sequence[Turn]) -> list[Turn]:
    found: list[Turn] = []
    for turn in turns:
        if found and found[-1].role == turn.role:
            found[-1] = Turn(turn.role, f"{found[-1].content}\n\n{turn.content}")
        else:
            found.append(turn)
    return found


def _versions(content: str) -> list[str]:
    """What templates make of an answer: as it is, without white space around it, without the thought before it."""
    answer = content.rpartition("</think>")[2]
    return list(dict.fromkeys([content, content.strip(), content.lstrip(), content.rstrip(), answer, answer.strip(),
                               answer.lstrip("\n")]))
