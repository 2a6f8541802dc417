"""The usual shape of chat completions: requests read, answers written, whole or as they come (server-sent events)."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.data import conversations
from core.data.conversations import ROLES, SYSTEM, USER, Turn
from core.errors import DataError, RecipeError, ThawError
from core.serving.question import MOST_TOKENS, Answer, Drawing, State, check_text, in_parts

DEFAULT_TOKENS = 256
MOST_STOPS = 16


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request."""

    conversation: str
    """As `core.data.conversations` keeps it."""
    drawing: Drawing
    streams: bool
    stops: tuple[str, ...]
    """The answer ends before the first of these."""


def read(given: Mapping[str, Any]) -> Asked:
    """Raises a ThawError, naming the field, for what cannot be answered."""
    messages = given.get("messages")
    if not isinstance(messages, list) or not messages:
        raise DataError("There are no messages in this request.", why="`messages` must be a list of what was said.",
                        remedy='Send for instance {"messages": [{"role": "user", "content": "Hello"}]}.')
    turns = [_turn(message) for message in messages]
    if turns[-1].role != USER:
        raise DataError("The last message is none of the user's.", why=f"Its role is {turns[-1].role!r}.",
                        remedy="End the messages with what the model is to answer.")
    conversation = conversations.dump(turns)
    check_text(turns[-1].content)
    check_text(conversation)
    if given.get("n", 1) != 1:
        raise RecipeError("Only one answer at a time can be had.", why=f"`n` is {given['n']!r}.", remedy="Ask again.")
    stops = given.get("stop") or []
    stops = [stops] if isinstance(stops, str) else stops
    if not isinstance(stops, list) or len(stops) > MOST_STOPS or not all(isinstance(s, str) and s for s in stops):
        raise RecipeError("`stop` cannot be read.", why="It must be a text, or a list of up to 16.", remedy="Mend it.")
    return Asked(conversation=conversation, drawing=drawing(given, temperature=1.0), stops=tuple(stops),
                 streams=bool(given.get("stream", False)))


def drawing(given: Mapping[str, Any], *, temperature: float) -> Drawing:
    """How words are chosen; temperature: where the request does not say. Raises RecipeError."""
    most = given.get("max_completion_tokens") or given.get("max_tokens") or DEFAULT_TOKENS
    fields = {"temperature": given.get("temperature", temperature), "top_p": given.get("top_p", 1.0), "most": most,
              "seed": given.get("seed")}
    fields = {name: value for name, value in fields.items() if value is not None}
    for name, value in fields.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RecipeError(f"`{name}` is no number.", why=f"It is {str(value)[:80]!r}.", remedy="Send a number.")
    found = Drawing(temperature=float(fields.get("temperature", temperature)), top_p=float(fields.get("top_p", 1.0)),
                    most=min(int(fields["most"]), MOST_TOKENS),
                    seed=int(fields.get("seed", secrets.randbelow(2**32))))
    found.check()
    return found


def _turn(message: Any) -> Turn:
    role = message.get("role") if isinstance(message, dict) else None
    role = SYSTEM if role == "developer" else role
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        content = "".join(map(str, texts)) if len(texts) == len(content) else None
    if role not in ROLES or not isinstance(content, str):
        raise DataError("A message cannot be read.", why=f"It is {str(message)[:120]}.",
                        remedy=f"Each message has a role ({', '.join(ROLES)}) and a content, which is text.")
    return Turn(role=role, content=content)


async def until(said: AsyncIterator[Answer], stops: tuple[str, ...]) -> AsyncIterator[Answer]:
    """The same, ended before the first of these texts."""
    try:
        async for now in said:
            places = [at for stop in stops if (at := now.text.find(stop)) >= 0]
            if places:
                yield replace(now, text=now.text[:min(places)], ended=True, state=State.DONE)
                return
            yield now
    finally:
        await said.aclose()  # type: ignore[attr-defined]


def whole(answer: Answer, model: str) -> dict[str, Any]:
    """A finished answer."""
    return {**_head("chat.completion", model), "choices": [{
        "index": 0, "message": {"role": conversations.ASSISTANT, "content": answer.text}, "logprobs": None,
        "finish_reason": _reason(answer)}], "usage": {
            "prompt_tokens": answer.read, "completion_tokens": answer.tokens,
            "total_tokens": answer.read + answer.tokens}}


async def stream(first: Answer, said: AsyncIterator[Answer], model: str) -> AsyncIterator[str]:
    """Each word as it comes, as server-sent events. Text that a stop may still cut is not held back: stops are looked
    for in what is about to be sent."""
    head, sent, last = _head("chat.completion.chunk", model), "", first
    yield _event(head, {"role": conversations.ASSISTANT, "content": ""})
    try:
        while True:
            if last.text.startswith(sent) and len(last.text) > len(sent):
                yield _event(head, {"content": last.text[len(sent):]})
                sent = last.text
            if last.state.final:
                break
            last = await anext(said)
        yield _event(head, {}, _reason(last))
    except ThawError as error:  # the head of the answer is sent: told inside of the stream
        yield f"data: {json.dumps({'error': {'message': str(error), **in_parts(error)}})}\n\n"
    finally:
        await said.aclose()  # type: ignore[attr-defined]
    yield "data: [DONE]\n\n"


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{secrets.token_hex(12)}", "object": kind, "created": int(time.time()), "model": model}


def _event(head: dict[str, Any], delta: dict[str, Any], reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return f"data: {json.dumps({**head, 'choices': [choice]}, ensure_ascii=False)}\n\n"


def _reason(answer: Answer) -> str:
    return "stop" if answer.ended else "length"
