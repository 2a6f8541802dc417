"""Conversations that were written into one text, with marks that say who speaks: those of chat templates (Llama 2 and
3, ChatML, Gemma, Zephyr), of Alpaca, Guanaco and Vicuna, and plain words (`Human:`, as in Anthropic's HH-RLHF)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.data.readers.chat_json import HOLDERS
from core.data.readers.json_shapes import Item
from core.data.readers.trees import Told
from core.data.roles import is_named
from core.domain.dataset import Role

Turns = list[dict[str, str]]
MARKED = "marks in the text"
"""What `told` counts rows by whose turns were found by their marks."""
SEPARATED = "ends of prompts"
"""What `told` counts rows by whose prompts and completions lost the marks of their ends."""
_PROMPTS, _RESPONSES = ("prompt", "instruction", "query", "input"), (
    "completion", "output", "response", "chosen", "answer")
_TEXTS = ("text", "chosen", "plain_text", *HOLDERS, "content")
_OTHERS = frozenset({*_PROMPTS, *_RESPONSES, "label", "question"}) - {"chosen"}
"""Columns beside which a text is no conversation by itself: they say the same better."""
_ASK = frozenset({"human", "user", "prompter", "instruction"})
_ANSWER = frozenset({"assistant", "ai", "bot", "gpt", "chatgpt", "chatbot", "model", "moss", "response"})
_MORE = frozenset({"input", "context"})
"""What goes on with an instruction, before it is answered."""
_BLANK = ("\n\n", "\n\r\n")
_LONGEST = 600
"""Characters that may stand before the first mark of some forms: what the system says."""
_STARTS = re.compile(r"\A\s*(?:<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>)?\s*")
_ENDS = ("</s>", "<eos>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "<|end|>", "<eoa>", "<eom>",
         "<eoh>", "<|endoftext|>", "### End")
"""What closes a turn in one template or another."""
_NAMES = r"human|user|prompter|assistant|ai|bot|gpt|chatgpt|chatbot|moss|system|function response"
_IN_FRONT = re.compile(rf"^({_NAMES}):", re.IGNORECASE | re.MULTILINE)
_ANSWERED = tuple(f"{name}:" for name in _ANSWER)
_LLAMA = re.compile(r"(?:<s>\s{0,4})?\[INST\](.*?)\[/INST\](.*?)(?:</s>|(?=<s>\s{0,4}\[INST\])|$)", re.DOTALL)
_SYSTEM = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class _Form:
    """One way to mark who speaks. A turn goes on to the next mark."""

    signs: tuple[str, ...]
    """One of these is in every such text, in lower case: a quick look."""
    mark: re.Pattern[str]
    """What a turn begins with; the first group that is filled is who speaks."""
    end: str = ""
    """What closes a turn: behind it, only the next mark stands."""
    led: bool = False
    """Whether a paragraph may stand before the first mark, which is told to the system."""
    apart: bool = False
    """Whether a blank line stands before each mark."""
    words: bool = False
    """Whether marks are plain words: then only those of the first two sides count, others belong to what is said."""


_FORMS = (
    _Form(signs=("<|im_start|>",), mark=re.compile(r"<\|im_start\|>(\w+)\n"), end="<|im_end|>"),
    _Form(signs=("<|start_header_id|>",), mark=re.compile(r"<\|start_header_id\|>(\w+)<\|end_header_id\|>"),
          end="<|eot_id|>"),
    _Form(signs=("<start_of_turn>",), mark=re.compile(r"<start_of_turn>(\w+)\n"), end="<end_of_turn>"),
    _Form(signs=("<|",), mark=re.compile(rf"<\|({_NAMES})\|>:?", re.IGNORECASE)),
    _Form(signs=("###",), mark=re.compile(r"###\s?(Human|User|Assistant|AI|System):"), led=True, words=True),
    _Form(signs=("###",), mark=re.compile(r"###\s?(Instruction|User|Input|Context|Response|System):"), led=True,
          words=True),
    _Form(signs=(">:", "]:"), mark=re.compile(rf"<({_NAMES})>:|\[({_NAMES})\]:", re.IGNORECASE), words=True),
    _Form(signs=_ANSWERED, mark=_IN_FRONT, words=True, apart=True),
    _Form(signs=_ANSWERED, mark=_IN_FRONT, words=True),
    _Form(signs=("assistant:",), mark=re.compile(r"(?<![^\s>])(USER|ASSISTANT):"), led=True, words=True),
)


def turns_of(text: str) -> Turns | None:
    """The turns of a text; None where it is not marked from its beginning to its end, or no answer is marked."""
    turns = _marked(text)
    said = {turn["role"] for turn in turns or ()}
    return turns if {"user", "assistant"} <= said else None


def _marked(text: str) -> Turns | None:
    """The turns of a text of any form, whoever speaks in it; None where it has none."""
    if 0 < text.count("[INST]") <= text.count("[/INST]"):
        found = list(_LLAMA.finditer(text))
        return _of_llama(found) if found and not _LLAMA.sub("", text).strip() else None
    there, first = text.casefold(), None
    for form in _FORMS:
        turns = _of_form(form, text) if any(sign in there for sign in form.signs) else None
        if turns and _alternate(turns):
            return turns
        first = first or turns
    return first


def _alternate(turns: Turns) -> bool:
    """Whether no side speaks twice in a row: so a mark that is not seen as one would show."""
    return all(one["role"] != other["role"] for one, other in itertools.pairwise(turns))


def _of_llama(found: list[re.Match[str]]) -> Turns:
    turns: Turns = []
    for match in found:
        asked = match[1]
        if not turns and (system := _SYSTEM.fullmatch(asked)):
            turns.append(_turn("system", system[1]))
            asked = system[2]
        turns += [_turn("user", asked), _turn("assistant", match[2])]
    return turns


def _of_form(form: _Form, text: str) -> Turns | None:
    """The turns of a text of this form: a question first, and somewhere an answer; None for any other text."""
    text = _STARTS.sub("", text)
    marks = _of_two_sides([(_speaker(mark), mark) for mark in form.mark.finditer(text)
                           if not form.apart or text[max(0, mark.start() - 3): mark.start()].endswith(_BLANK)
                           or not mark.start()], words=form.words)
    if not marks:
        return None
    turns: Turns = []
    if before := text[: marks[0][1].start()].strip():
        if not form.led or len(before) > _LONGEST or re.search(r"\n\s*\n", before):
            return None
        turns.append(_turn("system", before))
    for (name, mark), after in itertools.zip_longest(marks, marks[1:]):
        content = text[mark.end(): after[1].start() if after else len(text)]
        if name in _MORE and turns and turns[-1]["role"] == "user":
            turns[-1]["content"] = "\n\n".join(filter(None, (turns[-1]["content"].strip(), content.strip())))
        elif name in _MORE and turns:
            turns[-1]["content"] += mark[0] + content                # a headline of the answer, not a mark
        else:
            turns.append({"role": _side(name), "content": content})
    turns = [_turn(turn["role"], _without(_ENDS, turn["content"])) for turn in turns]
    first = next((turn["role"] for turn in turns if turn["role"] != "system"), "")
    stray = form.end and any(form.end in turn["content"] for turn in turns)
    return turns if first == "user" and not stray else None


def _speaker(mark: re.Match[str]) -> str:
    return next(filter(None, mark.groups())).casefold()


def _of_two_sides(marks: list[tuple[str, re.Match[str]]], *, words: bool) -> list[tuple[str, re.Match[str]]]:
    """The marks that count: of plain words those of whoever asks first and whoever answers first, and of the system
    where it speaks first. None where nobody answers."""
    asks = next((name for name, _ in marks if name in _ASK), None)
    answers = next((name for name, _ in marks if name in _ANSWER), None)
    if asks is None or answers is None:
        return []
    others = _ASK | _ANSWER | {"system"} if words else frozenset()
    return [(name, mark) for place, (name, mark) in enumerate(marks)
            if name in (asks, answers) or name not in others or (name == "system" and not place)]


def _side(name: str) -> str:
    """What a side is called in turns; a name that is none of ours stays as it is, and says why its row is left out."""
    return "user" if name in _ASK else "assistant" if name in _ANSWER else name.replace(" ", "_")


def _without(ends: Sequence[str], text: str) -> str:
    """The text without these at its end, however often they stand there, and without blanks."""
    text = text.strip()
    while end := next((end for end in ends if text.endswith(end)), ""):
        text = text[: -len(end)].rstrip()
    return text


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content.strip()}


# -- rows --------------------------------------------------------------------------------------------------------------


def is_marked(item: Mapping[str, Any]) -> bool:
    """Whether a text of an object is a conversation from its beginning to its end, or its prompt and response are."""
    return _turns_in(item) is not None


def read(item: dict[str, Any], told: Told) -> Item:
    """The object with the turns as `messages`, its texts beside them; a text without marks is left out."""
    if (turns := _turns_in(item)) is not None:
        told[MARKED] += 1
        return {**item, "messages": turns}, ""
    if item.keys() & _OTHERS or not any(isinstance(item.get(key), str) for key in _TEXTS):
        return item, ""
    return None, "its text is not marked from beginning to end with who speaks, as the other rows are"


def _turns_in(item: Mapping[str, Any]) -> Turns | None:
    turns = next(_of_pair(item), None)
    if turns is None and not item.keys() & _OTHERS:
        turns = next((found for key in _TEXTS if isinstance(text := item.get(key), str) and (found := turns_of(text))),
                     None)
    if turns is None or any(is_named(str(key), Role.LABEL) for key in item):
        return None                                                  # texts with a class stay texts with a class
    return _with_system(turns, item)


def _of_pair(item: Mapping[str, Any]) -> Iterator[Turns]:
    """The turns of a prompt that ends with the mark of whoever answers, with its response in that place."""
    response = next((item[key] for key in _RESPONSES if isinstance(item.get(key), str)), None)
    for key in _PROMPTS if response is not None else ():
        turns = turns_of(prompt) if isinstance(prompt := item.get(key), str) else None
        if turns and response is not None and turns[-1] == _turn("assistant", ""):
            yield [*turns[:-1], _turn("assistant", _without(_ENDS, response))]


def _with_system(turns: Turns, item: Mapping[str, Any]) -> Turns:
    """With what the system says in a column of its own, where that is marked too (`SYSTEM: …`, as Glaive writes)."""
    said = item.get("system")
    if turns[0]["role"] == "system" or not isinstance(said, str) or not said.lstrip().lower().startswith("system:"):
        return turns
    return [_turn("system", said.partition(":")[2]), *turns]


# -- ends of prompts ---------------------------------------------------------------------------------------------------

_AFTER_PROMPT, _AFTER_COMPLETION = ("#", " ->", " -->", " =>", " ==>"), (" END", "\nEND", " STOP", "\nSTOP", "###")


def is_separated(item: Mapping[str, Any]) -> bool:
    """Whether prompt and completion have the marks that OpenAI's first models wanted at the end of a prompt
    (`\\n\\n###\\n\\n`, ` ->`), and the blank before the completion."""
    prompt, completion = item.get("prompt"), item.get("completion")
    return (isinstance(prompt, str) and isinstance(completion, str) and completion[:1] == " "
            and prompt.rstrip().endswith(("##", *_AFTER_PROMPT[1:])))


def without_ends(item: dict[str, Any], told: Told) -> Item:
    """The object without these marks: the model's own template says where a prompt ends."""
    if not is_separated(item):
        return item, ""
    told[SEPARATED] += 1
    return {**item, "prompt": _without(_AFTER_PROMPT, item["prompt"]),
            "completion": _without(_AFTER_COMPLETION, item["completion"])}, ""
