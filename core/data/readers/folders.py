"""Folders of `.txt` files, one folder a class; and plain text files, one row a line."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from core.data import encodings
from core.data.readers.table import RowBuilder, Table
from core.errors import DataError

TREE = "my-data/\n  positive/\n    1.txt\n    2.txt\n  negative/\n    1.txt"
"""The layout that is expected, as shown in messages."""


def read(folder: Path, *, max_rows: int, name: str | None = None) -> Table:
    """Read `class/any.txt` files into the columns text, label and file; one wrapping folder is tolerated.

    Hidden files and `__MACOSX` are skipped; other files are counted as left out. A `train/class/1.txt` level becomes a split
    column. Raises DataError, drawing the expected tree, when no folder holds `.txt` files.
    """
    shown = name or folder.name
    files = _walk(folder)
    texts = [path for path in files if path.suffix.lower() == ".txt"]
    root = _unwrap(folder, texts)
    levels = Counter(len(path.relative_to(root).parts) for path in texts)
    depth = levels.most_common(1)[0][0] if levels else 0
    if depth not in (2, 3):
        where = f", most of them {depth} levels deep." if texts else "."
        raise DataError(f"{shown} has no folder of .txt files.", why=f"It has {len(texts):,} .txt files{where}",
                        remedy=f"Arrange the files like this, one folder a class:\n{TREE}")
    with_split = depth == 3
    columns = ["text", "label", "file", *(["split"] if with_split else [])]
    builder = RowBuilder(columns, max_rows=max_rows, name=shown)
    for path in files:
        parts = path.relative_to(root).parts if path.is_relative_to(root) else path.relative_to(folder).parts
        relative = "/".join(parts)
        if path.suffix.lower() != ".txt":
            builder.leave_out(f"{relative[:120]} is not a .txt file")
        elif len(parts) != depth:
            builder.leave_out(f"{relative[:120]} does not lie in a class folder like the others")
        else:
            builder.add([read_text(path), parts[-2], relative, *parts[:-2]])
    return replace(builder.table(format="Folder of text files"), by_folder=True)


def read_lines(path: Path, *, max_rows: int) -> Table:
    """A plain text file as a table of one column, one row a line that is not blank."""
    encoding = encodings.detect(path)
    builder = RowBuilder(["text"], max_rows=max_rows, name=path.name)
    with path.open(encoding=encoding.name, errors=encoding.errors) as file:
        for line in file:
            if line.strip():
                builder.add([line.rstrip("\n")])
    return builder.table(format=f"Text, one row a line, {encoding.name}")


def read_text(path: Path) -> str:
    """One text file: UTF-8 where it is valid, Windows-1252 for single bytes that are not."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors=encodings.FALLBACK).replace("\r\n", "\n")


def _walk(folder: Path) -> list[Path]:
    """All ordinary files below a folder in a fixed order; links, hidden names and `__MACOSX` are not followed."""
    found: list[Path] = []
    for base, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        found += [Path(base) / n for n in sorted(names) if not n.startswith(".") and not (Path(base) / n).is_symlink()]
    return sorted(found)


def _unwrap(folder: Path, texts: list[Path]) -> Path:
    """The folder below which class folders start: single wrapping folders are entered as long as two levels remain."""
    root = folder
    while texts:
        heads = {path.relative_to(root).parts[0] for path in texts}
        if len(heads) != 1 or min(len(path.relative_to(root).parts) for path in texts) < 3:
            return root
        root = root / heads.pop()
    return root
