"""Pictures: an archive or folder with one folder a class, or with a table that names them."""

from __future__ import annotations

import os
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from core.data.gallery import Gallery
from core.data.images import MAX_BYTES, SUFFIXES
from core.data.readers.table import RowBuilder, Table
from core.data.report import WARNING, Finding, several
from core.data.splits import ALIASES
from core.errors import DataError
from core.pictures.decode import SHOWN

TREE = ("my-pictures.zip\n  cat/\n    1.jpg\n    2.jpg\n  dog/\n    1.jpg\nor, with the splits given:\n"
        "  train/cat/1.jpg  train/dog/1.jpg  test/cat/2.jpg …\nor with a table:\n  labels.csv   (columns: file, label)\n  1.jpg\n  2.jpg")
"""The layouts that are understood, as shown in messages."""

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})
_SAMPLE = 500

ReadTable = Callable[[str], Table]
"""Reads the table with this name inside the archive."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The files of an archive or folder, by their path with forward slashes."""

    name: str
    """For messages."""
    files: tuple[str, ...]
    """Ordinary files, hidden ones left away, sorted."""
    read: Callable[[str], bytes]
    """The bytes of a file; safe to call from several threads."""
    local: Callable[[str], Path]
    """A path where a file (a table) can be read from."""
    links: tuple[str, ...] = ()
    """Symbolic links of a folder; they are not followed."""
    keep: Any = None
    """What must live as long as the source: an open archive, a temporary folder."""


def is_hidden(name: str) -> bool:
    """Dot-files, `__MACOSX`, and the clutter that file managers leave."""
    parts = name.split("/")
    return any((part.startswith(".") and part != ".") or part == "__MACOSX" for part in parts) or parts[-1].lower() in _CLUTTER


def plain(name: str) -> str:
    """A member name with forward slashes, without `./` and empty parts."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def suffix(name: str) -> str:
    """The ending of a member's name, in lower case, with its dot."""
    return PurePosixPath(name).suffix.lower()


def is_picture(name: str) -> bool:
    """Whether a file name is that of a picture that Thaw reads."""
    return suffix(name) in SUFFIXES


def folder_source(folder: Path, *, name: str, keep: Any = None) -> Source:
    """The files below a folder. Links are not followed."""
    files: list[str] = []
    links: list[str] = []
    for base, folders, names in os.walk(folder, followlinks=False):
        here = Path(base)
        for entry in (*folders, *names):
            relative = (here / entry).relative_to(folder).as_posix()
            if is_hidden(relative):
                continue
            if (here / entry).is_symlink():
                links.append(relative)
            elif entry in names:
                files.append(relative)
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__MACOSX"]

    def read(relative: str) -> bytes:
        path = folder / relative
        return b"\0" * (MAX_BYTES + 1) if path.stat().st_size > MAX_BYTES else path.read_bytes()

    return Source(name=name, files=tuple(sorted(files)), links=tuple(sorted(links)), read=read, local=lambda n: folder / n, keep=keep)


def zip_source(path: Path, *, name: str, local: Callable[[str], Path]) -> Source:
    """The members of a ZIP whose list was checked (`archive.check_members`); each is read when it is asked for."""
    bundle = zipfile.ZipFile(path)
    members = {plain(info.filename): info for info in bundle.infolist() if not info.is_dir()}
    lock = threading.Lock()

    def read(relative: str) -> bytes:
        info = members[relative]
        with lock, bundle.open(info) as file:
            return file.read(MAX_BYTES + 1)

    return Source(name=name, files=tuple(sorted(n for n in members if not is_hidden(n))), read=read, local=local, keep=bundle)


def read(source: Source, *, max_rows: int, read_table: ReadTable, tables: Sequence[str]) -> Table:
    """The pictures of a source as a table with a gallery.

    tables: those files that are tables. When one of them has a column that names pictures, its rows are the rows; otherwise the
    folders are the classes: columns `image`, `label` and, below `train`, `test` …, `split`. Raises DataError, drawing the expected
    trees, when there is neither.
    """
    pictures = [name for name in source.files if is_picture(name)]
    gallery = Gallery(pictures, source.read, keep=source.keep)
    beside = _parent(tables[0]) if tables else ""
    table = read_table(tables[0]) if len(tables) == 1 else None
    if table is not None and (column := image_column(table, gallery, beside=beside)):
        return _with_pictures(table, gallery, column, beside=beside, name=source.name)
    found = _from_folders(source, pictures, gallery, max_rows=max_rows)
    if found is not None:
        return found
    if table is not None:                                            # a table of texts, with some pictures beside it
        return replace(table, name=source.name, findings=(*table.findings, _unused(pictures)))
    raise _layout_error(source, pictures)


def image_column(table: Table, gallery: Gallery, *, beside: str = "") -> str | None:
    """The column most of whose cells name a picture of the gallery."""
    best, best_share = None, 0.5
    for name in table.columns:
        cells = [cell for cell in table.data.column(name).slice(0, _SAMPLE).to_pylist() if cell and cell.strip()]
        share = sum(gallery.resolve(cell, beside=beside) is not None for cell in cells) / max(1, len(cells))
        if share > best_share:
            best, best_share = name, share
    return best


def _with_pictures(table: Table, gallery: Gallery, column: str, *, beside: str, name: str) -> Table:
    """A table whose `column` names pictures: its cells become paths of the gallery, where they name one."""
    import pyarrow as pa

    cells = table.data.column(column).to_pylist()
    named = [gallery.resolve(cell, beside=beside) for cell in cells]
    paths = pa.array([path if path is not None else cell for path, cell in zip(named, cells, strict=True)], type=pa.large_string())
    data = table.data.set_column(table.data.column_names.index(column), column, pa.chunked_array([paths]))
    unused = sorted(set(gallery.names) - {path for path in named if path})
    findings = list(table.findings)
    if unused:
        findings.append(_unused(unused))
    return replace(table, name=name, data=data, gallery=gallery, image_column=column, findings=tuple(findings),
                   format=f"Pictures with a table ({table.format})")


def _unused(names: Sequence[str]) -> Finding:
    return Finding(code="unused-pictures", severity=WARNING, count=len(names), example=", ".join(names[:3])[:120],
                   message=several(len(names), "picture is", "pictures are") + " named by no row of the table.",
                   remedy="Add rows for them if they belong to the data; they are not used now.")


def _from_folders(source: Source, pictures: list[str], gallery: Gallery, *, max_rows: int) -> Table | None:
    """Rows from a folder a class; None when no picture lies in such a folder."""
    root = _root(pictures)
    below = {name: name[len(root):].split("/") for name in source.files if name.startswith(root)}
    heads = Counter(below[name][0] for name in pictures if name in below and len(below[name]) > 1)
    split = bool(heads) and all(head.lower() in ALIASES for head in heads)
    level = 1 if split else 0                                        # where the class folder is
    if not any(len(below.get(name, ())) > level + 1 for name in pictures):
        return None
    builder = RowBuilder(["image", "label", *(["split"] if split else [])], max_rows=max_rows, name=source.name)
    for name in source.files:
        parts = below.get(name, [])
        if not is_picture(name):
            builder.leave_out(_not_a_picture(name), file=name)
        elif len(parts) <= level + 1:
            builder.leave_out("it does not lie in a class folder like the others", file=name)
        else:
            builder.add([name, parts[level], *parts[:level]])
    for name in source.links:
        builder.leave_out("it is a symbolic link, which is not followed", file=name)
    return replace(builder.table(format="Pictures, one folder a class" + (" within splits" if split else "")), gallery=gallery,
                   image_column="image", by_folder=True)


def _root(pictures: list[str]) -> str:
    """The prefix below which class folders start: single wrapping folders are entered as long as most pictures lie two levels deeper."""
    root = ""
    while True:
        inside = [name[len(root):].split("/") for name in pictures if name.startswith(root)]
        heads = {parts[0] for parts in inside if len(parts) > 1}
        if len(heads) != 1 or sum(len(parts) > 2 for parts in inside) <= len(inside) / 2:
            return root
        root += heads.pop() + "/"


def _layout_error(source: Source, pictures: Sequence[str]) -> DataError:
    """The refusal of files that are arranged in no way Thaw understands, with the expected trees drawn."""
    shown = list(_shown_tree(source.files))
    return DataError(f"{source.name} has no folder of pictures for each class.",
                     why=f"It has {len(pictures):,} pictures, but Thaw cannot tell their classes. What it found:\n" + "\n".join(shown),
                     remedy=f"Arrange them like this, one folder a class:\n{TREE}")


def _shown_tree(files: Sequence[str]) -> Iterator[str]:
    for name in files[:6]:
        yield f"  {name[:100]}"
    if len(files) > 6:
        yield f"  … and {len(files) - 6:,} more"


def _not_a_picture(name: str) -> str:
    kind = suffix(name)
    if kind == ".svg":
        return "it is an SVG drawing; Thaw reads pictures made of pixels"
    if kind in ARCHIVES:
        return "it is an archive inside the archive, which is not opened"
    return f"it is no picture that Thaw reads ({kind or 'no ending'}): {SHOWN} are"


def _parent(name: str) -> str:
    return name.rpartition("/")[0]
