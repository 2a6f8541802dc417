"""Which tokens teach: one function for training, for the viewer, and for what a report counts. No torch.

A token is *taught* where the model is to predict it, *context* where it is only read, *cut* where it lies beyond the
length. Of a passage every token but the first is taught, and the end token where the document ends; of a conversation
the answers, each with its end token (`core.tasks.formats`), or everything where the recipe says so.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.data import conversations
from core.domain.dataset import Shape
from core.tasks.format_probes import format_of
from core.tasks.formats import Answer, Format

__all__ = ["AUTO", "EVERYTHING", "Format", "Taught", "Prompt", "asked", "format_of", "prompt",
           "prompt_ids", "teach"]

AUTO, EVERYTHING = "auto", "everything"
"""`Recipe.taught`: answers of conversations and everything of passages; or everything of both."""
TAUGHT, CONTEXT, CUT = "taught", "context", "cut"


@dataclass(frozen=True, kw_only=True, eq=False)
class Taught:
    """One row as the model is taught it; `(n,)` arrays, n at most the length."""

    ids: np.ndarray
    """int32."""
    taught: np.ndarray
    """bool; the first is never taught, as nothing stands before it."""
    parts: list[str]
    """The text of every token, those that are cut included."""
    cut_taught: np.ndarray
    """bool: of the tokens that are cut, which would have been taught."""
    n_bytes: int
    """UTF-8 bytes of the text that the taught tokens stand for; special tokens stand for none."""
    answer: tuple[int, int] = (-1, -1)
    """First token of the last answer and the one behind its last; −1 where the row has none, or its end is cut."""
    end: int = -1
    """Place of the token that ends the last answer; −1 where there is none."""
    refusal: str = ""
    """Why nothing is taught, where the format is the reason."""

    @property
    def n_taught(self) -> int:
        return int(self.taught.sum())

    @property
    def n_cut(self) -> int:
        return len(self.cut_taught)

    @property
    def n_cut_taught(self) -> int:
        return int(self.cut_taught.sum())

    @property
    def pieces(self) -> list[dict[str, str]]:
        """The row as text in stretches of one kind: [{"text", "kind"}]."""
        kinds = [*(TAUGHT if taught else CONTEXT for taught in self.taught), *itertools.repeat(CUT, self.n_cut)]
        return [{"text": "".join(part for part, _ in group), "kind": kind} for kind, group
                in itertools.groupby(zip(self.parts, kinds, strict=True), key=lambda pair: pair[1])]


def teach(format: Format, text: str, shape: Shape, limit: int, *, ends: bool = True, taught: str = AUTO) -> Taught:
    """The row `text` (a passage, or a conversation as `core.data.conversations` keeps it), cut to `limit` tokens.

    ends: whether a document ends with this passage.
    """
    if shape is Shape.CHAT:
        return _conversation(format, text, limit, everything=taught == EVERYTHING)
    tokens = _tokens(format, text, special=True)
    if ends:
        tokens.close(format)
    mask = np.ones(len(tokens.ids), bool)
    return _taught(format, tokens, mask, limit)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """What a model is given to go on from, one entry a token."""

    ids: tuple[int, ...]
    parts: tuple[str, ...]
    """The text of each; empty for one that only goes on with a character of the token before it."""
    own: tuple[bool, ...]
    """Whether it stands for text that was given, and is neither special nor the template's."""

    def last(self, count: int) -> Prompt:
        """Its end."""
        return Prompt(ids=self.ids[-count:], parts=self.parts[-count:], own=self.own[-count:])


def prompt_ids(format: Format, text: str, shape: Shape) -> list[int]:
    """The tokens of `prompt`."""
    return list(prompt(format, text, shape).ids)


def prompt(format: Format, text: str, shape: Shape) -> Prompt:
    """What the model is given to go on from: a passage's beginning, or a conversation that ends with a question (a text
    that is no conversation is taken for one)."""
    if shape is not Shape.CHAT:
        return _prompt(format, _tokens(format, text, special=True), [(0, len(text))])
    turns = asked(text)
    written = format.prompt(turns)
    return _prompt(format, _tokens(format, written, special=format.plain), _given(written, turns))


def asked(text: str) -> list[conversations.Turn]:
    """The turns of a conversation up to its last question; of a text that is none, this one question."""
    try:
        turns = list(conversations.load(text))
    except (ValueError, RecursionError):
        turns = [conversations.Turn(conversations.USER, text)]
    while turns and turns[-1].role == conversations.ASSISTANT:
        turns.pop()
    return turns


def _prompt(format: Format, tokens: _Tokens, given: list[tuple[int, int]]) -> Prompt:
    own = [end > start and id not in format.special and any(start < stop and end > first for first, stop in given)
           for id, start, end in zip(tokens.ids, tokens.starts, tokens.ends, strict=True)]
    return Prompt(ids=tuple(tokens.ids), parts=tuple(tokens.parts), own=tuple(own))


def _given(written: str, turns: list[conversations.Turn]) -> list[tuple[int, int]]:
    """Where the turns' own words stand in what the template made of them, in characters; all of it where none is
    found."""
    found, position = [], 0
    for turn in turns:
        words = turn.content.strip()
        place = written.find(words, position)
        if words and place >= 0:
            position = place + len(words)
            found.append((place, position))
    return found or [(0, len(written))]


def _conversation(format: Format, text: str, limit: int, *, everything: bool) -> Taught:
    rendered = format.render(conversations.load(text))
    tokens = _tokens(format, rendered.text, special=format.plain or bool(rendered.refusal))
    spans = [tokens.covering(answer) for answer in rendered.answers]
    mask = np.zeros(len(tokens.ids), bool)
    for first, behind, _ in spans:
        mask[first:behind] = True
    refusal = rendered.refusal or ("The answers were not found in what the template writes." if rendered.missed
                                   and not spans else "")
    if everything and not rendered.refusal:
        mask[:] = True
    return _taught(format, tokens, mask, limit, last=spans[-1] if spans else None, refusal=refusal)


def _taught(format: Format, tokens: _Tokens, mask: np.ndarray, limit: int, *,
            last: tuple[int, int, int] | None = None, refusal: str = "") -> Taught:
    if len(mask):
        mask[0] = False
    kept = mask[:limit]
    n_bytes = sum(len(part.encode("utf-8", "surrogatepass")) for part, taught, id
                  in zip(tokens.parts, kept, tokens.ids, strict=False) if taught and id not in format.special)
    whole = last is not None and last[1] <= limit
    return Taught(ids=np.asarray(tokens.ids[:limit], np.int32), taught=kept, parts=tokens.parts, n_bytes=n_bytes,
                  cut_taught=mask[limit:], refusal=refusal,
                  answer=(last[0], last[1]) if last is not None and whole else (-1, -1),
                  end=last[2] if last is not None and whole else -1)


@dataclass(kw_only=True)
class _Tokens:
    """The tokens of a text: ids, where each ends in it, and what each stands for."""

    ids: list[int]
    starts: list[int]
    ends: list[int]
    parts: list[str]

    def covering(self, answer: Answer) -> tuple[int, int, int]:
        """(first token of an answer, the one behind its last, the one that ends it or −1)."""
        inside = [at for at, (start, end) in enumerate(zip(self.starts, self.ends, strict=True))
                  if end > answer.start and start < answer.stop and end > start]
        if not inside:
            return 0, 0, -1
        first, behind = inside[0], inside[-1] + 1
        closed = answer.stop > answer.end and self.ends[behind - 1] > answer.end
        return first, behind, behind - 1 if closed else -1

    def close(self, format: Format) -> None:
        """Put the end token behind, unless it is there."""
        end = format.tokenizer.eos_token_id
        if end is not None and (not self.ids or self.ids[-1] != end):
            self.ids.append(int(end))
            self.starts.append(self.ends[-1] if self.ends else 0)
            self.ends.append(self.starts[-1])
            self.parts.append(str(format.tokenizer.eos_token))


def _tokens(format: Format, text: str, *, special: bool) -> _Tokens:
    """The tokens of a text. special: with what the tokenizer puts before a text; what it puts behind is left out, as
    whether a text ends is said by `teach`."""
    tokenizer = format.tokenizer
    if getattr(tokenizer, "is_fast", False):
        found = tokenizer(text, add_special_tokens=special, return_offsets_mapping=True, return_attention_mask=False,
                          return_token_type_ids=False)
        ids, offsets = list(found["input_ids"]), list(found["offset_mapping"])
    else:
        ids, offsets = _by_decoding(tokenizer, text, special)
    while special and len(ids) > 1 and offsets[-1][1] == 0 and ids[-1] in format.special:
        ids.pop()
        offsets.pop()
    if len(ids) > 1 and ids[0] == ids[1] == tokenizer.bos_token_id:
        ids.pop(0)
        offsets.pop(0)
    starts, ends, parts, position = [], [], [], 0
    for id, (start, end) in zip(ids, offsets, strict=True):
        own = end > start
        stop = max(position, end) if own else position
        starts.append(start if own else position)
        ends.append(stop if own else position)
        # white space that a tokenizer drops is counted to the token behind it
        parts.append(text[position:stop] if own else str(tokenizer.convert_ids_to_tokens(id)))
        position = stop
    if parts and position < len(text):
        parts[-1] += text[position:]
    return _Tokens(ids=ids, starts=starts, ends=ends, parts=parts)


def _by_decoding(tokenizer: Any, text: str, special: bool) -> tuple[list[int], list[tuple[int, int]]]:
    """For tokenizers written in Python, which do not say where a token stands: each is looked for behind the one
    before."""
    ids = list(tokenizer(text, add_special_tokens=special)["input_ids"])
    offsets, position = [], 0
    for id in ids:
        word = tokenizer.decode([id]).strip()
        place = text.find(word, position) if word else -1
        offsets.append((0, 0) if place < 0 else (place, place + len(word)))
        position = position if place < 0 else place + len(word)
    return ids, offsets
