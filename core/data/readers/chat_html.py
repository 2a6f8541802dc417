"""Chats that Telegram exports as web pages (`messages.html`, `messages2.html`, …)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from core.data import encodings
from core.data.readers import chats
from core.data.readers.chats import Entry, Message, Passed
from core.data.readers.table import Table

APP, ENDINGS = "Telegram", (".html", ".htm")
PAGES = re.compile(r"(.*/)?messages(\d*)\.html")
"""What the pages of a chat are called; the first has no number."""
_BEGINS = 1 << 14
_MESSAGE = '<div class="message '
_CHAT = re.compile(r'<div class="text bold">\s*([^<]*)')
_NAME, _TIME = re.compile(r'<div class="from_name">\s*([^<]*)'), re.compile(r'date details" title="([\d. :]{19})')
_FORWARDED = 'class="forwarded body"'
_TEXT, _TAG = '<div class="text">', re.compile(r"<[^<>]*>")


def is_page(start: bytes) -> bool:
    """Whether a file that begins like this is a page of a chat."""
    return b'class="page_header' in start and b'class="history"' in start


def is_chat(path: Path) -> bool:
    """Whether a file is a page of a chat."""
    with path.open("rb") as file:
        return is_page(file.read(_BEGINS))


def read(path: Path, *, max_rows: int) -> Table:
    """A row a message of one page. Raises DataError where nobody wrote anything."""
    encoding = encodings.detect(path)
    page = path.read_text(encoding=encoding.name, errors=encoding.errors)
    return chats.table(entries([page]), name=path.name, app=APP, max_rows=max_rows)


def entries(pages: Sequence[str | None]) -> Iterator[Entry]:
    """What the pages of one chat hold, in their order; None is a page that cannot be read. Of several messages in a
    row, the first says who wrote them."""
    speaker = ""
    for page in pages:
        if page is None:
            yield "a whole page of messages cannot be read: it is damaged in the archive"
            continue
        head, *found = page.split(_MESSAGE)
        chat = match[1] if (match := _CHAT.search(head)) else ""
        for message in found:
            if message.startswith("service"):
                yield Passed.NOTICE
                continue
            if name := _NAME.search(message.partition(_FORWARDED)[0]):
                speaker = html.unescape(name[1]).strip()
            text = _shown(message.partition(_TEXT)[2].partition("</div>")[0])
            yield Message(text=text, speaker=speaker, time=_time(message), chat=html.unescape(chat)
                          ) if text else Passed.MEDIA


def _shown(text: str) -> str:
    """What a piece of a page shows: `<br>` ends a line, other breaks are blanks."""
    lines = re.sub(r"<br\s*/?>", "\0", text).split("\0")
    return "\n".join(" ".join(html.unescape(_TAG.sub("", line)).split()) for line in lines).strip()


def _time(message: str) -> datetime | None:
    try:
        return datetime.strptime(match[1], "%d.%m.%Y %H:%M:%S") if (match := _TIME.search(message)) else None
    except ValueError:
        return None
