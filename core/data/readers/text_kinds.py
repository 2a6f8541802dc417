"""Text files that are more than lines: chats, mail, subtitles, intents, lines with a class, drawn tables, talk."""

from __future__ import annotations

from pathlib import Path

from core.data.readers import (
    chat_html,
    drawn,
    folders,
    intents,
    labelled_lines,
    mails,
    spoken_lines,
    subtitles,
    whatsapp,
    word_tags,
)
from core.data.readers.table import Table
from core.data.several_files import TEXTS

_LINE = 32
"""Bytes within which a line has the colon behind its class."""


def special(path: Path, *, max_rows: int) -> Table | None:
    """A web page that is a chat, or a YAML file with the intents of an assistant; None for all others, which are not
    read."""
    suffix = path.suffix.lower()
    if suffix in chat_html.ENDINGS and chat_html.is_chat(path):
        return chat_html.read(path, max_rows=max_rows)
    if suffix in intents.YAML and intents.is_nlu(path):
        return intents.read(path, max_rows=max_rows)
    return None


def read(path: Path, start: bytes, *, max_rows: int) -> Table | None:
    """The rows of a text file that begins with these bytes, where it is of a kind that is known here; None for others.
    Raises DataError for words that have a tag each."""
    suffix = path.suffix.lower()
    if (found := _of_people(path, suffix, start, max_rows)) is not None:
        return found
    word_tags.refuse(path, start)
    if suffix in intents.MARKDOWN and intents.is_nlu(path):
        return intents.read(path, max_rows=max_rows)
    if (form := form_of(path, start)) is not None:
        return labelled_lines.read(path, form, max_rows=max_rows)
    if b"--" in start and drawn.is_drawn(path):
        return drawn.read(path, max_rows=max_rows)
    return spoken_lines.read(path, max_rows=max_rows) if suffix in TEXTS and spoken_lines.are_spoken(start) else None


def form_of(path: Path, start: bytes) -> labelled_lines.Form | None:
    """How the lines of a file carry their class, if they do; only files that begin with a mark of one are looked at."""
    plain = path.suffix.lower() in TEXTS and (b"@" in start or b":" in start[:_LINE] or start[:1] == b"(")
    return labelled_lines.form_of(path) if plain or b"__label__" in start else None


def _of_people(path: Path, suffix: str, start: bytes, max_rows: int) -> Table | None:
    """A chat, mail or subtitles; None for a file that is none of them."""
    if suffix in ("", ".txt") and whatsapp.is_chat(path):
        return whatsapp.read(path, max_rows=max_rows)
    boxes = (*mails.BOXES, *TEXTS, mails.MAIL, "")
    if (suffix in boxes and mails.is_box(start)) or (suffix == mails.MAIL and mails.is_mail(start)):
        return mails.read(path, max_rows=max_rows)
    if suffix not in folders.TAKEN_OUT:
        return None
    found = subtitles.read(path, max_rows=max_rows) if suffix in subtitles.ENDINGS else None
    return folders.read_lines(path, max_rows=max_rows) if found is None else found
