"""Chats as messengers export them: a row a message with who wrote it, when and in which stretch of talk; for language
models a whole stretch is one document, a line a message."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from core.data.readers.table import RowBuilder, Table
from core.data.report import INFO, Finding, several
from core.errors import DataError

COLUMNS = ("text", "speaker", "time", "conversation")
PAUSE = timedelta(hours=6)
"""A longer pause begins a new conversation."""
_MOST_SPEAKERS, _LEAST_MESSAGES = 20, 10
"""Who wrote a message is proposed as its class up to so many people, from so many messages of each."""
_LONGEST_NAME = 80


@dataclass(frozen=True, kw_only=True)
class Message:
    """What somebody wrote."""

    text: str
    speaker: str
    time: datetime | None
    chat: str
    """The chat or channel."""


class Passed(Enum):
    """What is in an export and no message: passed over on purpose."""

    NOTICE = ("notice of the app", "notices of the app", "such as who joined, or that a message was deleted")
    MEDIA = ("picture, recording or other file", "pictures, recordings or other files", "without a text beside it")
    BOT = ("message of a program", "messages of programs", "such as a bot's")


Entry = Message | Passed | str
"""A message, what is passed over, or why an entry cannot be read."""


def table(entries: Iterable[Entry], *, name: str, app: str, max_rows: int) -> Table:
    """One row a message, in the order of the export; `documents` holds a conversation a row. Raises DataError where
    nobody wrote anything."""
    rows, whole = (RowBuilder(COLUMNS, max_rows=max_rows, name=name) for _ in range(2))
    passed: Counter[Passed] = Counter()
    wrote: Counter[str] = Counter()
    said: dict[str, list[Message]] = {}
    for entry in _in_stretches(entries):
        if isinstance(entry, Passed):
            passed[entry] += 1
        elif isinstance(entry, str):
            rows.leave_out(entry)
            whole.leave_out(entry)
        else:
            message, stretch = entry
            rows.add([message.text, message.speaker, _shown(message.time), stretch])
            wrote[message.speaker] += 1
            said.setdefault(stretch, []).append(message)
    if not rows.rows_read:
        raise DataError(f"{name} holds no messages.",
                        why=f"It is an export of {app}, in which nobody wrote a text.",
                        remedy="Export a chat in which people wrote to each other.")
    for stretch, messages in said.items():
        whole.add(["\n".join(f"{message.speaker}: {message.text}" for message in messages),
                   ", ".join(dict.fromkeys(message.speaker for message in messages)),
                   _shown(messages[0].time), stretch])
    found = rows.table(format=f"Chat of {app}, one row a message", findings=list(_findings(passed)))
    return dataclasses.replace(found, documents=whole.table(format=f"Chat of {app}, one conversation each"),
                               aside=_aside(wrote))


def _in_stretches(entries: Iterable[Entry]) -> Iterator[tuple[Message, str] | Passed | str]:
    """Each message with the name of its conversation: the chat, and a number that goes on after each pause."""
    last: dict[str, datetime] = {}
    number: Counter[str] = Counter()
    for entry in entries:
        if not isinstance(entry, Message):
            yield entry
            continue
        message = dataclasses.replace(entry, speaker=_name(entry.speaker), chat=_name(entry.chat) or "chat",
                                      text=entry.text.strip())
        if not message.speaker:
            yield "it does not say who wrote it"
            continue
        if not message.text:
            yield "the text is empty"
            continue
        before, now = last.get(message.chat), message.time
        number[message.chat] += not number[message.chat] or (now is not None and before is not None
                                                             and abs(now - before) > PAUSE)
        if now is not None:
            last[message.chat] = now
        yield message, f"{message.chat} {number[message.chat]}"


def _name(name: str) -> str:
    return " ".join(name.split())[:_LONGEST_NAME].strip()


def moment(value: object) -> datetime | None:
    """A time as JSON exports write it: ISO 8601, as clocks there showed it, or seconds since 1970 (UTC); None for
    anything else."""
    try:
        if isinstance(value, str) and not re.fullmatch(r"\d{1,11}(\.\d{1,9})?", value):
            return datetime.fromisoformat(value).replace(tzinfo=None)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return datetime(1970, 1, 1) + timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        return None
    return None


def _shown(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(sep=" ", timespec="seconds")


def _findings(passed: Mapping[Passed, int]) -> Iterator[Finding]:
    for kind in Passed:
        if count := passed[kind]:
            one, many, which = kind.value
            yield Finding(code=f"chat-{kind.name.lower()}", severity=INFO, count=count,
                          message=f"{several(count, f'{one}, {which}, was', f'{many}, {which}, were')} not read as "
                                  f"{'a message' if count == 1 else 'messages'} of people.",
                          remedy="Nothing to do.")


def _aside(wrote: Mapping[str, int]) -> dict[str, str]:
    """Columns that are not what a row says or its class; the speaker neither, where there are too many or too few."""
    why = few_or_many(wrote)
    return {"time": "it says when each message was written",
            "conversation": "it names the stretch of talk that each message is of", **({"speaker": why} if why else {})}


def few_or_many(wrote: Mapping[str, int]) -> str:
    """Why it is not proposed to tell apart who wrote what, by the messages of each; "" where it is."""
    name, fewest = min(wrote.items(), key=lambda item: item[1], default=("", 0))
    if not 2 <= len(wrote) <= _MOST_SPEAKERS:
        return (f"{several(len(wrote), 'person writes', 'people write')}: to tell them apart takes 2 to "
                f"{_MOST_SPEAKERS}; it can be made the label all the same")
    if fewest < _LEAST_MESSAGES:
        return (f"{name[:40]!r} wrote {several(fewest, 'message', 'messages')}: to tell people apart takes "
                f"{_LEAST_MESSAGES} of each; it can be made the label all the same")
    return ""
