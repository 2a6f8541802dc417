"""Mail: mailboxes (`.mbox`) and single messages (`.eml`), a row a mail with its plain text, its subject and its
sender."""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import mailbox
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.errors import HeaderParseError, MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from html.parser import HTMLParser
from pathlib import Path

from core.data import encodings
from core.data.archive import UNREADABLE
from core.data.images import MAX_BYTES
from core.data.layout import arrange
from core.data.readers import by_folder
from core.data.readers.chats import few_or_many
from core.data.readers.table import RowBuilder, Table
from core.data.several_files import TEXTS, is_table
from core.data.source import HIDDEN, Source, suffix
from core.errors import DataError

MAIL, BOXES = ".eml", (".mbox", ".mbx")
COLUMNS = ("text", "subject", "sender")
_BEGINS = re.compile(rb"From \S.*\d{4}[^\n]*\r?\n[A-Za-z][\w-]*:")
"""How a mailbox begins: a line with the time, then headers."""
_HEADER = re.compile(rb"[A-Za-z][\w-]{0,60}:")
_NO_MAIL, _DEEP, _EMPTY = "it does not begin like a mail", "it is nested too deeply", "it has no text"
_BROKEN = (MessageError, LookupError, ValueError, AttributeError, TypeError, AssertionError)
"""What Python's readers of mail raise on damage."""
_MOST_HTML = 1 << 18
"""Characters of a page that are read: its parser may take the square of them."""
_LINES = frozenset({"address", "article", "blockquote", "br", "div", "dd", "dt", "footer", "h1", "h2", "h3", "h4", "h5",
                    "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul"})
_UNSEEN = frozenset({"script", "style", "head", "title"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Mail:
    text: str
    subject: str
    sender: str


def is_box(start: bytes) -> bool:
    """Whether a file that begins like this is a mailbox."""
    return _BEGINS.match(start) is not None


def is_mail(start: bytes) -> bool:
    """Whether a file that begins like this may be a mail: with a header."""
    return is_box(start) or _HEADER.match(start.lstrip()) is not None


def read(path: Path, *, max_rows: int) -> Table:
    """A row a mail of a mailbox, or of a file that is one mail. Raises DataError where it cannot be opened."""
    with path.open("rb") as file:
        start = file.read(1 << 12)
    rows = RowBuilder(COLUMNS, max_rows=max_rows, name=path.name)
    box = is_box(start)
    _add(rows, _in_box(path, path.name) if box else iter([path.read_bytes()]))
    return _finished(rows, "Mailbox, one row a mail" if box else "Mail, one row")


def prevail(names: Sequence[str]) -> bool:
    """Whether files are mailboxes and nothing else that is read, or mails that lie in no folders of classes."""
    texts = sum(suffix(name) in TEXTS for name in names)
    mails = [name for name in names if suffix(name) == MAIL]
    if any(map(is_table, names)):
        return False
    return (len(mails) > texts and arrange(mails) is None) or (not texts and not mails
                                                               and any(suffix(name) in BOXES for name in names))


def read_source(source: Source, *, max_rows: int) -> Table | None:
    """A row a mail of the mailboxes in an archive or folder, or of its `.eml` files, with the file as a column; None
    where they do not prevail. Raises DataError for a mailbox that cannot be opened."""
    if not prevail(source.files):
        return None
    rows = RowBuilder([*COLUMNS, "file"], max_rows=max_rows, name=source.name)
    for name in source.files:
        if suffix(name) in BOXES:
            _add(rows, _in_box(source.local(name), name), file=name)
        elif suffix(name) == MAIL:
            try:
                _add(rows, iter([source.read(name)]), file=name)
            except UNREADABLE as error:
                rows.leave_out(f"it cannot be read ({str(error)[:80]})", file=name)
        else:
            rows.leave_out("it is not a mail", file=name)
    for names, reason in ((source.hidden, HIDDEN), (source.links, by_folder.LINK)):
        for name in names:
            rows.leave_out(reason, file=name)
    return _finished(rows, "Mails, one row a mail")


def text_of(data: bytes) -> str:
    """Subject and text of a mail as one text; what is no mail is a text as it is."""
    mail = _mail(data)
    return "\n\n".join(filter(None, (mail.subject, mail.text))) if isinstance(mail, _Mail) else _decoded(data, "")


def _finished(rows: RowBuilder, format: str) -> Table:
    found = rows.table(format=format)
    wrote, about = (Counter(cell or "" for cell in found.data.column(name).to_pylist()) for name in COLUMNS[:0:-1])
    aside = {"file": "it says where a mail lay"} if "file" in found.columns else {}
    if why := few_or_many(wrote):
        aside["sender"] = why
    if 3 * len(about) <= len(found):                                 # short and repeated, yet no class
        aside["subject"] = "mails that answer each other share it"
    return dataclasses.replace(found, aside=aside)


def _add(rows: RowBuilder, mails: Iterator[bytes | str], *, file: str = "") -> None:
    for data in mails:
        mail = _mail(data) if isinstance(data, bytes) else data
        if isinstance(mail, str):
            rows.leave_out(mail, file=file)
        else:
            rows.add([mail.text, mail.subject or None, mail.sender or None, *([file] if file else [])])


def _in_box(path: Path, name: str) -> Iterator[bytes | str]:
    """The mails of a mailbox, or why one cannot be read. Raises DataError where the box cannot be opened."""
    box = mailbox.mbox(str(path), create=False)
    try:
        keys = list(box.iterkeys())
    except (OSError, mailbox.Error, ValueError) as error:
        raise DataError(f"{name} cannot be read.", why=f"It is damaged ({str(error)[:80]}).",
                        remedy="Export the mailbox again.") from error
    with contextlib.closing(box):
        for key in keys:
            try:
                yield box.get_bytes(key)
            except (OSError, KeyError, ValueError) as error:
                yield f"it cannot be read ({str(error)[:80]})"


# -- one mail ----------------------------------------------------------------------------------------------------------


def _mail(data: bytes) -> _Mail | str:
    """A mail, or why it is none."""
    if len(data) > MAX_BYTES:
        return f"it has more than {MAX_BYTES / 1e6:.0f} MB"
    data = data.removeprefix(codecs.BOM_UTF8).lstrip()
    if not is_mail(data):
        return _NO_MAIL
    try:
        message = message_from_bytes(data)
        text = _body(message)
        subject, sender = _header(message, "Subject"), _header(message, "From")
    except RecursionError:
        return _DEEP
    except _BROKEN as error:
        return f"it cannot be read ({str(error)[:80]})"
    if not text and not subject:
        return _EMPTY
    return _Mail(text=text, subject=subject, sender=parseaddr(sender)[1] or sender)


def _header(message: Message, name: str) -> str:
    said = message.get(name, "")
    try:
        shown = str(make_header(decode_header(said)))
    except (HeaderParseError, *_BROKEN):                             # written against the rules: as it stands there
        shown = str(said)
    return " ".join(shown.encode("utf-8", "replace").decode().split())


def _body(message: Message) -> str:
    """The plain text of a mail, else what its HTML shows; "" where there is neither."""
    found: dict[str, str] = {}
    for part in message.walk():
        kind = part.get_content_type()
        if kind not in ("text/plain", "text/html") or kind in found or part.get_content_disposition() == "attachment":
            continue
        payload = part.get_payload(decode=True)
        text = _decoded(payload, part.get_param("charset", "")) if isinstance(payload, bytes) else ""
        if text := (_shown(text) if kind == "text/html" else text).strip():
            found[kind] = text
    return found.get("text/plain") or found.get("text/html", "")


def _decoded(data: bytes, charset: object) -> str:
    try:
        text = data.decode(charset) if isinstance(charset, str) and charset else None
    except (LookupError, ValueError):
        text = None
    if not isinstance(text, str):
        try:
            encoding = encodings.of_bytes(data)
            text = data.decode(encoding.name, encoding.errors)
        except DataError:
            text = data.decode("utf-8", "replace")
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


class _Shown(HTMLParser):
    """What a page shows, as lines."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._inside = 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self._inside += tag in _UNSEEN
        if tag in _LINES:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._inside = max(0, self._inside - (tag in _UNSEEN))
        if tag in _LINES:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.parts.append(re.sub(r"\s+", " ", data))


def _shown(page: str) -> str:
    parser, page = _Shown(), page[:_MOST_HTML]
    end = page.rfind(">") + 1                                        # behind it no tag can end, which takes long to see
    try:
        parser.feed(page[:end] + page[end:].replace("<", "&lt;"))
        parser.close()
    except (AssertionError, ValueError):                             # no page: what is not in tags
        return re.sub(r"<[^<>]{0,10000}>", " ", page)
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
