"""Chats that WhatsApp exports as text, in the forms of iOS (`[01/03/2024, 10:00:11] Ann: …`) and Android
(`3/1/24, 10:00 - Ann: …`), alone or in the archive with the pictures of the chat."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from core.data import encodings
from core.data.archive import UNREADABLE
from core.data.readers import chats
from core.data.readers.chats import Entry, Message, Passed
from core.data.readers.table import Table
from core.data.report import INFO, Finding, several
from core.data.source import Source
from core.errors import DataError

_MARKS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
"""Marks of direction, which WhatsApp puts around names and before what it writes itself."""
_UNMARKED = str.maketrans(dict.fromkeys(_MARKS, ""))
_BLANK = "[ \u00a0\u202f\u2009]"
_DATE = rf"(\d{{1,4}})[./-]{_BLANK}?(\d{{1,2}})[./-]{_BLANK}?(\d{{1,4}})\.?"
_TIME = (rf"([^\W\d_]{{1,4}}\.?{_BLANK}?)?(\d{{1,2}})[:.](\d{{2}})(?:[:.](\d{{2}}))?"
         rf"({_BLANK}?[^\W\d_](?:[^\W\d_]|\.|{_BLANK}){{0,12}})?")
_WHEN = rf"{_DATE}[,،]?{_BLANK}{{1,3}}{_TIME}"
_STARTS = tuple(re.compile(form) for form in (rf"\[{_WHEN}\]{_BLANK}?(.*)", rf"{_WHEN}{_BLANK}[-–]{_BLANK}(.*)"))
_SAID = re.compile(rf"([^:\n]{{1,80}}):(?:{_BLANK}(.*)|$)", re.DOTALL)
_LEVELS = frozenset({"trace", "debug", "info", "notice", "warn", "warning", "error", "critical", "fatal"})
"""What stands behind the time in the logs of programs, where a chat has names."""
_AFTERNOON = frozenset({"pm", "下午", "晚上", "오후", "午後", "م", "nm", "μμ", "ch", "öö"})
_THINGS = r"(?:image|video|audio|gif|sticker|document|contact card|video note|media)"
_MEDIA = re.compile(rf"<attached: [^>\n]{{1,300}}>|<?\b{_THINGS} omitted>?|^[^\n]{{1,300}} \(file attached\)",
                    re.IGNORECASE)
_ALONE = re.compile(rf"<?{_THINGS} omitted>?|<attached: [^>\n]{{1,300}}>|[^\n]{{1,300}} \(file attached\)",
                    re.IGNORECASE)
_EDITED = re.compile(r"\u200e?<This message was edited>\s*$", re.IGNORECASE)
_NOTICES = ("messages and calls are end-to-end encrypted", "messages to this group are now secured",
            "messages to this chat and calls are now secured", "this message was deleted", "you deleted this message",
            "missed voice call", "missed video call", "waiting for this message", "null")
_NAMED = re.compile(r"whatsapp[ _-]+chat[ _-]+(?:(?:with|mit|con|avec|met|com|-)[ _-]+)?", re.IGNORECASE)
_HEAD, _LOOKED_AT, _LEAST, _MOST_FILES = 1 << 14, 100, 2, 60
_ABOVE = 3
"""Lines that may stand above the first message."""


@dataclasses.dataclass(frozen=True)
class _Start:
    """The first line of an entry."""

    date: tuple[str, str, str]
    clock: tuple[int, int, int]
    half: str
    """What tells morning from afternoon, in lower case, without dots and blanks."""
    rest: str


def is_named(name: str) -> bool:
    """Whether a file is called as WhatsApp calls a chat."""
    last = name.rpartition("/")[2].lower()
    return last == "_chat.txt" or (last.endswith(".txt") and _NAMED.match(last) is not None)


def is_chat(path: Path) -> bool:
    """Whether a text file is a chat, by its first lines. Raises DataError where it is no text."""
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="\n") as file:
        return are_chat(file.read(_HEAD).split("\n")[:_LOOKED_AT])


def are_chat(lines: Sequence[str]) -> bool:
    """Whether the first lines of a text are those of a chat."""
    lines = [line for line in lines if line.strip()]
    starts = [start for line in lines if (start := _start(line)) is not None]
    said = [match[1].strip().lower() for start in starts if (match := _SAID.match(start.rest))]
    logged = sum(name in _LEVELS for name in said)
    return (len(starts) >= min(_LEAST, len(lines)) and any(_start(line) for line in lines[:_ABOVE])
            and len(said) > logged and 2 * logged <= len(said))


def read(path: Path, *, max_rows: int) -> Table:
    """A row a message of one chat. Raises DataError where nobody wrote anything."""
    encoding = encodings.detect(path)
    text = path.read_text(encoding=encoding.name, errors=encoding.errors)
    return chats.table(_entries(text, chat=_chat(path.name)), name=path.name, app="WhatsApp", max_rows=max_rows)


def read_source(source: Source, *, max_rows: int) -> Table | None:
    """A row a message of the chats in an archive or folder; None where a `.txt` file is none of a chat, or none is
    there. What lies beside them (the pictures of the chat) is counted."""
    texts = [name for name in source.files if name.lower().endswith(".txt")]
    if not 1 <= len(texts) <= _MOST_FILES:
        return None
    found = {}
    for name in texts:
        try:
            path = source.local(name)
            if not is_chat(path):
                return None
            whole = path.read_bytes()
            encoding = encodings.of_bytes(whole)
            found[name] = whole.decode(encoding.name, encoding.errors)
        except (DataError, *UNREADABLE):                             # whoever reads the file says so
            return None
    entries = (entry for name, text in found.items() for entry in _entries(text, chat=_chat(name, source.name)))
    table = chats.table(entries, name=source.name, app="WhatsApp", max_rows=max_rows)
    rest = [name for name in source.files if name not in found]
    return dataclasses.replace(table, findings=(*table.findings, _beside(rest))) if rest else table


def _beside(names: Sequence[str]) -> Finding:
    return Finding(code="unused-files", severity=INFO, count=len(names), example=", ".join(names[:3])[:120],
                   message=several(len(names), "file that was sent in the chat is",
                                   "files that were sent in the chat are") + " not used.",
                   remedy="Nothing to do: the messages are read, what was sent with them is not.")


def _chat(name: str, archive: str = "") -> str:
    """The name of a chat: of its file, or where that is the same for all, of what it lies in."""
    folder, _, last = name.rpartition("/")
    if last.lower() == "_chat.txt":
        last = folder.rpartition("/")[2] or archive or last
    stem = re.sub(r"\.(txt|zip)$", "", last, flags=re.IGNORECASE)
    return _NAMED.sub("", stem, count=1).strip() or stem


def _start(line: str) -> _Start | None:
    line = line.lstrip(_MARKS + " ").rstrip("\r\n")
    for form in _STARTS:
        if (match := form.match(line)) is not None:
            first, second, third, before, hour, minute, seconds, behind, rest = match.groups()
            half = re.sub(r"[\s.]", "", f"{before or ''}{behind or ''}").lower()
            return _Start(date=(first, second, third), clock=(int(hour), int(minute), int(seconds or 0)), half=half,
                          rest=rest)
    return None


def _entries(text: str, *, chat: str) -> Iterator[Entry]:
    gathered: list[tuple[_Start, list[str]]] = []
    above = 0
    for line in text.removeprefix("\ufeff").split("\n"):
        if (start := _start(line)) is not None:
            gathered.append((start, []))
        elif gathered:
            gathered[-1][1].append(line.rstrip("\r"))
        else:
            above += bool(line.strip())
    for _ in range(above):
        yield "it stands above the first message"
    day_first = _day_is_first([start for start, _ in gathered])
    for start, more in gathered:
        yield _entry("\n".join([start.rest, *more]), when=_time(start, day_first=day_first), chat=chat)


def _entry(rest: str, *, when: datetime | None, chat: str) -> Entry:
    match = _SAID.match(rest)
    if match is None or any(mark in match[1] for mark in '"“”„«'):   # `Ann changed the subject to "x: y"`
        return Passed.NOTICE
    said = _EDITED.sub("", match[2] or rest[match.end():])
    own = said.startswith("\u200e")                                  # iOS marks so what is not typed, in any language
    plain = said.translate(_UNMARKED).strip()
    if plain.lower().startswith(_NOTICES[:3]) or plain.lower().rstrip(".…") in _NOTICES:
        return Passed.NOTICE
    first, _, below = plain.partition("\n")
    if _ALONE.fullmatch(first) or (own and _MEDIA.search(first)) or "<attached: " in first:
        plain = "\n".join(filter(None, (_MEDIA.sub("", first).strip() if "<attached: " in first else "",
                                        below.strip())))             # what is written below a picture
        own = False
        if not plain:
            return Passed.MEDIA
    if own:
        return Passed.NOTICE
    return Message(text=plain, speaker=match[1].translate(_UNMARKED), time=when, chat=chat)


def _day_is_first(starts: Sequence[_Start]) -> bool:
    """Whether dates have the day before the month: as numbers above 12 tell, else the order in which time goes on, else
    how clocks are written."""
    pairs = [(int(start.date[0]), int(start.date[1])) for start in starts if len(start.date[0]) < 3]
    if any(first > 12 for first, _ in pairs):
        return True
    if any(second > 12 for _, second in pairs):
        return False
    back = {first: _steps_back(_time(start, day_first=first) for start in starts) for first in (True, False)}
    american = any(len(start.date[0]) == 1 and start.half in ("am", "pm") for start in starts)
    return back[True] < back[False] or (back[True] == back[False] and not american)


def _steps_back(times: Iterable[datetime | None]) -> int:
    known = [time for time in times if time is not None]
    return sum(later < earlier for earlier, later in itertools.pairwise(known))


def _time(start: _Start, *, day_first: bool) -> datetime | None:
    first, second, third = map(int, start.date)
    if len(start.date[0]) > 2:
        year, month, day = first, second, third
    else:
        day, month = (first, second) if day_first else (second, first)
        year = third + 2000 if third < 100 else third
    hour, minute, seconds = start.clock
    if start.half in _AFTERNOON and hour < 12:
        hour += 12
    elif start.half in ("am", "上午", "오전", "午前", "ص") and hour == 12:
        hour = 0
    try:
        return datetime(year, month, day, hour, minute, seconds)
    except ValueError:
        return None
