"""What a chat template does, found by rendering conversations made for that. See `core.tasks.formats`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.data.conversations import Turn
from core.tasks.formats import ASSISTANT, DATE, MARKS, SYSTEM, USER, Format, write

S, U, A, V, B = "thawsystem", "thawuser", "thawanswer", "thawagain", "thawreply"
SHOWN = 140


def format_of(tokenizer: Any) -> Format:
    """The format of the model that this tokenizer belongs to."""
    notes = _of_tokenizer(tokenizer)
    found = _of_conversations(tokenizer, notes)
    return replace(found, passage_notes=(*notes, *_of_passages(tokenizer)))


def _of_conversations(tokenizer: Any, notes: list[str]) -> Format:
    if not getattr(tokenizer, "chat_template", None):
        return Format(tokenizer=tokenizer, name="plain", plain=True, notes=(
            "The model has no chat template (it is a base model): conversations are written in a plain format, "
            "“User: …”, “Assistant: …”.", *notes))
    try:
        single = write(tokenizer, [Turn(USER, U), Turn(ASSISTANT, A)])
        fault = "" if U in single and A in single else "it leaves turns out"
    except ValueError as error:
        single, fault = "", str(error)
    if fault:
        return Format(tokenizer=tokenizer, name="plain", plain=True, notes=(
            f"The model's chat template cannot be used ({fault}): conversations are written in a plain format, "
            "“User: …”, “Assistant: …”.", *notes))
    return _of_template(tokenizer, single, notes)


def _of_template(tokenizer: Any, single: str, notes: list[str]) -> Format:
    template = str(tokenizer.chat_template)
    pair = _written(tokenizer, [Turn(USER, U), Turn(ASSISTANT, A), Turn(USER, V), Turn(ASSISTANT, B)])
    header, leads, prompted = _before_answers(tokenizer, single)
    ends = _ends(tokenizer, single, pair)
    folds, joins = _folds_system(tokenizer), _joins(tokenizer)
    marks = MARKS.search(template) is not None
    found = [
        "" if marks else "The template has no generation marks: answers are found by rendering the conversation up to "
                         "each of them.",
        "" if prompted else "The template writes no generation prompt: what it puts before an answer "
                            f"({_short(header)}) is given to the model as context.",
        "" if leads == ("",) else f"The template puts {_short(leads[-1])} before an answer, which is taught.",
        "" if ends else _no_end(tokenizer),
        "The template refuses system texts, or leaves them out: they are put before the first user turn." if folds
        else "",
        _default_system(tokenizer, single, pair) if not folds else "",
        "" if folds else _moves_system(tokenizer),
        "The template refuses two turns of one role in a row: such turns are joined." if joins else "",
        _strips(tokenizer), _thoughts(tokenizer),
        f"The template writes a date: it is given {DATE}, so that the same row stays the same." if
        "strftime_now" in template or "date_string" in template else "",
        _doubled_start(tokenizer, single), _merges(tokenizer, single, header),
    ]
    return Format(tokenizer=tokenizer, name="the model's chat template", plain=False, marks=marks, folds_system=folds,
                  joins=joins, header="" if prompted else header, leads=leads, ends=ends,
                  notes=tuple([note for note in found if note] + notes))


def _of_tokenizer(tokenizer: Any) -> list[str]:
    """What to know of its start, end and padding tokens."""
    notes = []
    if tokenizer.eos_token_id is None:
        notes.append("The tokenizer has no end token: where a text ends is not taught.")
    elif tokenizer.pad_token_id == tokenizer.eos_token_id:
        notes.append("Padding and the end of a text are the same token; the end is taught all the same, and padding "
                     "never is.")
    return notes


def _of_passages(tokenizer: Any) -> list[str]:
    if starts_with_bos(tokenizer):
        return []
    return ["The tokenizer puts no start token before a text: the first token of a passage has nothing before it and "
            "is not taught."]


def starts_with_bos(tokenizer: Any) -> bool:
    """Whether a plain text gets a token before its first."""
    alone = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    return len(whole) > len(alone) and list(whole[:1]) != list(alone[:1])


def _written(tokenizer: Any, turns: Sequence[Turn], *, prompt: bool = False) -> str | None:
    try:
        return write(tokenizer, turns, prompt=prompt)
    except ValueError:
        return None


def _before_answers(tokenizer: Any, single: str) -> tuple[str, tuple[str, ...], bool]:
    """(what stands between the turns before and an answer; what of it the model has to say; whether there is a
    generation prompt)."""
    question = [Turn(USER, U)]
    with_prompt, without = (_written(tokenizer, question, prompt=prompt) for prompt in (True, False))
    place = single.index(A)
    if with_prompt is not None and with_prompt != without and single.startswith(with_prompt):
        lead = single[len(with_prompt):place]
        return "", tuple(dict.fromkeys(("", lead))), True
    start = _common_start(single[:place], without or with_prompt or "")
    header = single[start:place]
    return (header, ("",), False) if header.strip() else ("", tuple(dict.fromkeys(("", header))), True)


def _ends(tokenizer: Any, single: str, pair: str | None) -> tuple[str, ...]:
    """What stands behind an answer up to its end token: in the last turn, and in others."""
    behind = [single[single.index(A) + len(A):]]
    if pair is not None and A in pair and V in pair and pair.index(A) < pair.index(V):
        between = pair[pair.index(A) + len(A):pair.index(V)]
        header = _common_end(single[:single.index(U)], between)
        behind.append(between[:len(between) - len(header)])
    return tuple(dict.fromkeys(mark for text in behind if (mark := _first_special(tokenizer, text))))


def _first_special(tokenizer: Any, text: str) -> str:
    """The special token that a text begins with, and the white space before it; empty where it begins otherwise."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    names = {*tokenizer.all_special_tokens, *(str(token) for token in added.values())}
    bare = text.lstrip()
    found = max((name for name in names if name.strip() and bare.startswith(name)), key=len, default="")
    return text[:len(text) - len(bare)] + found if found else ""


def _common_start(a: str, b: str) -> int:
    """Characters that both begin with."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _common_end(a: str, b: str) -> str:
    return a[len(a) - _common_start(a[::-1], b[::-1]):]


def _no_end(tokenizer: Any) -> str:
    if tokenizer.eos_token is None:
        return ("The template writes no end token after an answer, and the tokenizer has none: where an answer ends "
                "is not taught.")
    return (f"The template writes no end token after an answer: {tokenizer.eos_token} is put behind the last one and "
            "taught.")


def _folds_system(tokenizer: Any) -> bool:
    text = _written(tokenizer, [Turn(SYSTEM, S), Turn(USER, U), Turn(ASSISTANT, A)])
    return text is None or S not in text


def _joins(tokenizer: Any) -> bool:
    text = _written(tokenizer, [Turn(USER, U), Turn(USER, V), Turn(ASSISTANT, A)])
    return text is None or U not in text or V not in text


def _default_system(tokenizer: Any, single: str, pair: str | None) -> str:
    """Words that stand before the first turn only."""
    if pair is None or A not in pair or V not in pair or pair.index(A) > pair.index(V):
        return ""
    before = single[:single.index(U)]
    again = pair[pair.index(A) + len(A):pair.index(V)]
    before = before.removeprefix(tokenizer.bos_token or "")
    own = before[:len(before) - len(_common_end(before, again))]
    words = re.sub(r"<[^<>]*>|\[[^\[\]]*\]", " ", own)
    if sum(letter.isalpha() for letter in words) < 8:
        return ""
    return f"The template puts a system text of its own before conversations that have none: {_short(own)}."


def _moves_system(tokenizer: Any) -> str:
    turns = [Turn(SYSTEM, S), Turn(USER, U), Turn(ASSISTANT, A), Turn(USER, V), Turn(ASSISTANT, B)]
    text = _written(tokenizer, turns) or ""
    places = [text.find(word) for word in (S, U, A, V, B)]
    if -1 in places or places == sorted(places):
        return ""
    return "The template moves the system text into a later turn."


def _strips(tokenizer: Any) -> str:
    text = _written(tokenizer, [Turn(USER, f"  {U}  "), Turn(ASSISTANT, f"  {A}  ")]) or ""
    kept = [f"  {word}  " in text for word in (U, A)]
    return "" if all(kept) else "The template strips white space around what is said."


def _thoughts(tokenizer: Any) -> str:
    """Whether a thought inside an answer survives, in the last answer and before."""
    thought = f"<think>\nthawthought\n</think>\n\n{A}"
    last = _written(tokenizer, [Turn(USER, U), Turn(ASSISTANT, thought)]) or ""
    early = _written(tokenizer, [Turn(USER, U), Turn(ASSISTANT, thought), Turn(USER, V), Turn(ASSISTANT, B)]) or ""
    if "thawthought" in early or not early:
        return ""
    if "thawthought" in last:
        return "The template drops the thoughts (<think>…</think>) of all answers but the last: they are not taught."
    return "The template drops the thoughts (<think>…</think>) of answers: they are not taught."


def _doubled_start(tokenizer: Any, single: str) -> str:
    bos = tokenizer.bos_token
    if not bos:
        return ""
    if single.startswith(bos + bos):
        return f"The template writes the start token {bos} twice: one is left out."
    if single.startswith(bos) and starts_with_bos(tokenizer):
        return (f"The template writes the start token {bos}, and the tokenizer would put a second one before it: it "
                "stands there once.")
    if not single.startswith(bos) and starts_with_bos(tokenizer):
        return ("The template writes no start token, and none is added before conversations, though plain texts get "
                f"{bos}.")
    return ""


def _merges(tokenizer: Any, single: str, header: str) -> str:
    """Whether an answer's first token begins before it, so that the prompt's tokens are not the row's first ones."""
    prompt = (_written(tokenizer, [Turn(USER, U)], prompt=True) or "") + header
    whole = list(tokenizer(single, add_special_tokens=False)["input_ids"])
    beginning = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    if not single.startswith(prompt) or whole[:len(beginning)] == beginning:
        return ""
    return ("The last characters before an answer and its first ones become one token, which is taught; a prompt ends "
            "with other tokens.")


def _short(text: str) -> str:
    shown = text.strip() or text
    shown = " ".join(shown.split()) or repr(text)
    return f"“{shown if len(shown) <= SHOWN else shown[:SHOWN] + '…'}”"
