"""Folders of `.txt` files, one folder a class; and plain text files, one row a line."""

from __future__ import annotations

from pathlib import Path

from core.data import encodings
from core.data.images import MAX_BYTES
from core.data.layout import arrange
from core.data.readers import by_folder
from core.data.readers.table import RowBuilder, Table
from core.data.source import Source, suffix
from core.errors import DataError

TREE = "my-data/\n  positive/\n    1.txt\n    2.txt\n  negative/\n    1.txt"
"""The layout that is expected, as shown in messages."""


def is_text(name: str) -> bool:
    """Whether a file name is that of a text that Thaw reads."""
    return suffix(name) == ".txt"


def read(source: Source, *, max_rows: int) -> Table:
    """Read `class/any.txt` files into the columns text, label, file and, where folders tell it, split; see
    `layout.arrange`.

    Other files, hidden ones too, are counted as left out. Raises DataError, drawing the expected tree, when no folder
    holds `.txt` files.
    """
    files = sorted(source.files, key=lambda name: name.split("/"))
    texts = [name for name in files if is_text(name)]
    layout = arrange(texts)
    if layout is None:
        raise DataError(f"{source.name} has no folder of .txt files.",
                        why=f"It has {len(texts):,} .txt files" + (f", such as {texts[0][:80]}." if texts else "."),
                        remedy=f"Arrange the files like this, one folder a class:\n{TREE}")
    return by_folder.table(source, layout, files, wanted=is_text, why_not=lambda name: "it is not a .txt file",
                           row=lambda name, place: [_text(source, name), place.label, name.removeprefix(layout.root)],
                           columns=("text", "label", "file"), max_rows=max_rows, format="Text files", thing="text")


def _text(source: Source, name: str) -> str:
    data = source.read(name)
    if len(data) > MAX_BYTES:
        raise OSError(f"it has more than {MAX_BYTES / 1e6:.0f} MB")
    return decode(data)


def read_lines(path: Path, *, max_rows: int) -> Table:
    """A plain text file as a table of one column, one row a line that is not blank."""
    encoding = encodings.detect(path)
    builder = RowBuilder(["text"], max_rows=max_rows, name=path.name)
    with path.open(encoding=encoding.name, errors=encoding.errors) as file:
        for line in file:
            if line.strip():
                builder.add([line.rstrip("\n")])
    return builder.table(format=f"Text, one row a line, {encoding.name}")


def decode(data: bytes) -> str:
    """One text file: UTF-8 where it is valid, an older encoding where it is not."""
    encoding = encodings.of_bytes(data)
    return data.decode(encoding.name, encoding.errors).replace("\r\n", "\n")
