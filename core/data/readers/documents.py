"""Folders of documents that are no `.txt` files: notes in Markdown, the source code of a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import PurePosixPath

from core.data.archive import UNREADABLE
from core.data.images import MAX_BYTES
from core.data.readers import by_folder, dialect, folders
from core.data.readers.table import RowBuilder, Table
from core.data.several_files import is_table, plan
from core.data.source import HIDDEN, Source, suffix

PROSE = (".md", ".markdown", ".rst", ".tex", ".org", ".adoc")
ENDINGS = frozenset((*PROSE, ".py", ".js", ".ts", ".jsx", ".tsx", ".java", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs",
                     ".go", ".rs", ".rb", ".php", ".swift", ".kt", ".scala", ".r", ".jl", ".lua", ".sh", ".sql",
                     ".hs", ".ml", ".lean", ".v"))
_SETTINGS = frozenset(("package.json", "package-lock.json", "tsconfig.json", "composer.json", "config.json",
                       "settings.json", "manifest.json"))
_LEAST = 2


def prevail(names: Sequence[str]) -> bool:
    """Whether most files are such documents, and none is a table."""
    count = sum(suffix(name) in ENDINGS for name in names)
    others = sum(folders.is_text(name) for name in names)
    rows = [name for name in names if PurePosixPath(name).name not in _SETTINGS]
    return count >= _LEAST and count > 2 * others and not any(map(is_table, rows)) and not plan(rows)


def are_prose(lines: Sequence[str]) -> bool:
    """Whether lines have no common number of cells, whatever parts them."""
    found = dialect.detect_dialect("".join(lines))
    widths = [len(found.cells(line)) for line in lines]
    width = dialect.common_width(widths)
    return width < 2 or sum(n == width for n in widths) < 0.8 * len(widths)


def read(source: Source, *, max_rows: int) -> Table | None:
    """One row a file, as the columns text and file; None where such documents do not prevail."""
    if not prevail(source.files):
        return None
    builder = RowBuilder(["text", "file"], max_rows=max_rows, name=source.name)
    for name in sorted(source.files):
        if suffix(name) not in ENDINGS and not folders.is_text(name):
            builder.leave_out("it is no document that is read", file=name)
            continue
        try:
            data = source.read(name)
        except UNREADABLE as error:
            builder.leave_out(f"it cannot be read ({str(error)[:80]})", file=name)
            continue
        if len(data) > MAX_BYTES or b"\0" in data:
            builder.leave_out("it is no text, or too large", file=name)
        else:
            builder.add([folders.decode(data), name])
    for names, reason in ((source.hidden, HIDDEN), (source.links, by_folder.LINK)):
        for name in names:
            builder.leave_out(reason, file=name)
    return dataclasses.replace(builder.table(format="Documents, one row a file"), by_folder=True)
