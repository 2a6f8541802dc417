"""Folders of `.txt` files, one folder a class; and plain text files, one row a line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.data import encodings
from core.data.archive import UNREADABLE
from core.data.images import MAX_BYTES
from core.data.layout import arrange
from core.data.readers import by_folder, mails, subtitles
from core.data.readers.table import RowBuilder, Table
from core.data.several_files import TEXTS, split_of
from core.data.source import HIDDEN, Source, suffix
from core.errors import DataError

_NO_TEXT = "it is not a .txt file"
_HEAD_BYTES = 4096
_END = "<|endoftext|>"
"""What stands between the documents of a text for GPT-2 and its heirs."""
TREE = "my-data/\n  positive/\n    1.txt\n    2.txt\n  negative/\n    1.txt"
"""The layout that is expected, as shown in messages."""


_NUMBERED = re.compile(r"|\.\d+|\.[0-9a-f]{16,}")
"""Endings of texts that have none: `sci.space/60862`, `spam/0001.bfc8d64d12b325ff385cca8d07b84288`."""
_ABOUT = re.compile(r"(read[\s_-]*me|licen[cs]e|notice|change[\s_-]*log|about|citation|makefile|dockerfile)",
                    re.IGNORECASE)
_README = re.compile(r"(^|[._\W])read[\s_-]?me([._\W]|$)", re.IGNORECASE)
"""Files that tell about others, by their name without its ending; `rt-polaritydata.README.1.0`."""


TAKEN_OUT = frozenset({*subtitles.ENDINGS, mails.MAIL})
"""Endings of files that a text is taken out of."""


def is_text(name: str) -> bool:
    """Whether a file name is that of a text that Thaw reads."""
    return suffix(name) in TEXTS


def holds_text(name: str) -> bool:
    """Whether a file is a text, or one that a text is taken out of: subtitles, a mail."""
    return is_text(name) or suffix(name) in TAKEN_OUT


def may_be_text(name: str) -> bool:
    """Whether a name has no ending that says what the file is: in class folders, where no `.txt` is, such are texts."""
    return not is_about(name) and _NUMBERED.fullmatch(suffix(name)) is not None


def is_about(name: str) -> bool:
    """Whether a file tells about others, by its name: a readme, a licence."""
    stem = name.rpartition("/")[2].removesuffix(suffix(name))
    return _ABOUT.fullmatch(stem) is not None or _README.search(stem) is not None


def texts_of(names: Iterable[str]) -> list[str]:
    """Those of these files that are texts: the `.txt` files, subtitles and mails, and where there is none, those
    without an ending."""
    names = list(names)
    return [name for name in names if holds_text(name)] or [name for name in names if may_be_text(name)]


def read(source: Source, *, max_rows: int) -> Table:
    """Read `class/any.txt` files into the columns text, label, file and, where folders tell it, split; see
    `layout.arrange`.

    Where no folder tells a class, see `documents`. Other files, hidden ones too, are counted as left out. Raises
    DataError, drawing the expected tree, where there is no `.txt` file.
    """
    files = sorted(source.files, key=lambda name: name.split("/"))
    texts = texts_of(files)
    layout = arrange(texts)
    if layout is None and any(map(holds_text, texts)):
        return documents(source, files, max_rows=max_rows)
    if layout is None:
        raise DataError(f"{source.name} has no .txt files.",
                        remedy=f"Give texts for a language model, or arrange them, one folder a class:\n{TREE}")
    return by_folder.table(source, layout, files, wanted=set(texts).__contains__, why_not=lambda name: _NO_TEXT,
                           row=lambda name, place: [_text(source, name), place.label, name.removeprefix(layout.root)],
                           columns=("text", "label", "file"), max_rows=max_rows, format="Text files", thing="text")


def documents(source: Source, files: Sequence[str], *, max_rows: int) -> Table:
    """`.txt` files that lie beside each other, as the columns text and file; a column split where their names say
    train, validation and test."""
    texts = [name for name in files if holds_text(name)]
    said = {name: split_of(name) for name in texts}
    split = all(said.values()) and "train" in said.values() and len(set(said.values())) > 1
    builder = RowBuilder(["text", "file", *(["split"] if split else [])], max_rows=max_rows, name=source.name)
    for name in files:
        if not holds_text(name):
            builder.leave_out(_NO_TEXT, file=name)
            continue
        try:
            builder.add([_text(source, name), name, *([said[name]] if split else [])])
        except UNREADABLE as error:
            builder.leave_out(f"it cannot be read ({str(error)[:80]})", file=name)
    for names, reason in ((source.hidden, HIDDEN), (source.links, by_folder.LINK)):
        for name in names:
            builder.leave_out(reason, file=name)
    return dataclasses.replace(builder.table(format="Text files, one document each"), by_folder=True)


def _text(source: Source, name: str) -> str:
    data = source.read(name)
    if len(data) > MAX_BYTES:
        raise OSError(f"it has more than {MAX_BYTES / 1e6:.0f} MB")
    if suffix(name) != ".txt" and b"\0" in data[:_HEAD_BYTES] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise OSError("it is no text")
    return text_of(name, data)


def read_lines(path: Path, *, max_rows: int) -> Table:
    """A plain text file as a table of one column, one row a line that is not blank."""
    encoding = encodings.detect(path)
    builder = RowBuilder(["text"], max_rows=max_rows, name=path.name)
    whole = RowBuilder(["text"], max_rows=max_rows, name=path.name)
    text = path.read_text(encoding=encoding.name, errors=encoding.errors).removeprefix("\ufeff")
    for line in text.split("\n"):
        if line.strip() and line.strip() != _END:
            builder.add([line])
    pieces = [piece.strip() for piece in text.split(_END) if piece.strip()] if _END in text else [text]
    for piece in pieces:
        whole.add([piece])
    many = f"{len(pieces):,} documents" if len(pieces) > 1 else "one document"
    return dataclasses.replace(builder.table(format=f"Text, one row a line, {encoding.name}"),
                               documents=whole.table(format=f"Text, {many}, {encoding.name}"))


def as_documents(table: Table) -> Table:
    """The files that a table has the lines of, one a row, their blank lines with them; other tables as they are."""
    if table.documents is None:
        return table
    return dataclasses.replace(table.documents, name=table.name, findings=table.findings)


def text_of(name: str, data: bytes) -> str:
    """The text of a file: of subtitles what is said, of a mail its subject and text."""
    if suffix(name) == mails.MAIL:
        return mails.text_of(data)
    return subtitles.text_of(decode(data)) if suffix(name) in subtitles.ENDINGS else decode(data)


def decode(data: bytes) -> str:
    """One text file: UTF-8 where it is valid, an older encoding where it is not."""
    encoding = encodings.of_bytes(data)
    return data.decode(encoding.name, encoding.errors).replace("\r\n", "\n")
