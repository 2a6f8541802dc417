"""The beginning of a file, for the preview: texts are cut after a megabyte, tables after some rows."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data import contents, encodings, packed, several_files, tables
from core.data import source as sources
from core.data.archive import UNREADABLE
from core.data.contents import Contents
from core.data.member_names import open_zip
from core.data.readers import (
    cells,
    class_files,
    documents,
    excel,
    folders,
    mails,
    parallel_lines,
    parquet,
    pixels,
    spoken_lines,
)
from core.data.readers.table import Table
from core.data.source import Source
from core.errors import DataError
from core.settings import Settings

HEAD_BYTES = 1 << 20
HEAD_ROWS = 200
HEAD_FILES = 300
"""Text files of an archive that are looked into."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """The first rows of a file."""

    table: Table
    complete: bool
    """Whether the table is the whole file."""


def read(path: Path, *, settings: Settings) -> Head:
    """The first rows, read as `tables.read` reads the whole. Raises the same errors where the beginning shows them."""
    head = _read(path, settings)
    return dataclasses.replace(head, table=tables.columns_joined(pixels.drawn(head.table)))


def _read(path: Path, settings: Settings) -> Head:
    tables.check_size(path, settings)
    if path.is_dir():
        source = sources.of_folder(path, name=path.name)
        found = (_parts(source, settings, local=source.local) if len(source.files) <= settings.max_archive_files
                 else None)
        return found or Head(table=tables.read(path, settings=settings), complete=True)
    with path.open("rb") as file:
        start = file.read(16)
    if parquet.is_columnar(start):
        return _columnar(path, settings, parquet.read if start.startswith(b"PAR1") else parquet.read_arrow)
    if start.startswith(b"PK\x03\x04"):
        return _zip(path, settings)
    if tables.is_packed(path, start):
        return Head(table=tables.read(path, settings=settings, listing=True), complete=True)
    if packed.kind_of(start):
        return _packed(path, settings)
    if (path.suffix.lower() in (".xlsx", ".xlsm") or path.stat().st_size <= HEAD_BYTES or tables.foreign(start)
            or _is_one_object(path)):
        return Head(table=tables.read(path, settings=settings), complete=True)
    return _text(path, settings)


def _is_one_object(path: Path) -> bool:
    """Whether a file is one JSON object, which has no beginning that could be read by itself."""
    with path.open("rb") as file:
        line = file.readline(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").strip()
    if path.suffix.lower() not in (".json", ".jsonl", ".ndjson") or not line.startswith(b"{"):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


def _text(path: Path, settings: Settings) -> Head:
    """A text file cut after its first megabyte, at the end of a line (or of an object of a JSON list)."""
    with path.open("rb") as file:
        data = file.read(HEAD_BYTES)
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        cut = Path(temporary) / path.name
        whole_lines = data[: data.rfind(b"\n") + 1] or data
        cut.write_bytes(whole_lines)
        if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            cut = cut.with_suffix(".jsonl")
            encoding = encodings.detect(path.parent / path.name)
            objects = _objects(data.decode(encoding.name, "replace"))
            cut.write_text("\n".join(json.dumps(item) for item in objects), encoding="utf-8")
        table = tables.read(cut, settings=settings)
    return Head(table=dataclasses.replace(table, name=path.name), complete=False)


def _objects(text: str) -> Iterator[Any]:
    """The whole elements at the beginning of a JSON list that may be cut off."""
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield value


def _columnar(path: Path, settings: Settings, reader: Callable[..., Table]) -> Head:
    table = reader(path, max_rows=settings.max_rows, first_rows=HEAD_ROWS)
    if len(table) < HEAD_ROWS:
        return Head(table=tables.read(path, settings=settings), complete=True)
    return Head(table=table, complete=False)


def _packed(path: Path, settings: Settings) -> Head:
    """A compressed file: text is unpacked no further than it is looked at."""
    limit = settings.max_upload_mb * 10_000_000
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        inner, whole = packed.unpack(path, Path(temporary), max_bytes=limit, first_bytes=HEAD_BYTES + 1)
        with inner.open("rb") as file:
            start = file.read(16)
        if (whole or start.startswith(b"PK") or parquet.is_columnar(start) or packed.kind_of(start)
                or _is_one_object(inner)):
            return Head(table=tables.read(path, settings=settings), complete=True)
        table = _text(inner, settings).table
    return Head(table=dataclasses.replace(table, name=path.name), complete=False)


def _zip(path: Path, settings: Settings) -> Head:
    """A ZIP: Excel, pictures (listed only), some of its texts, or the beginning of its tables."""
    source = sources.of_zip(path, settings=settings)
    if tables.is_excel(path, source.files):
        table = excel.read(path, max_rows=settings.max_rows, max_files=settings.max_archive_files, first_rows=HEAD_ROWS)
        return Head(table=cells.conversations(table, max_rows=settings.max_rows), complete=len(table) < HEAD_ROWS)
    if (contents.of(source.files) is Contents.TEXTS and len(folders.texts_of(source.files)) > HEAD_FILES
            and not documents.prevail(source.files) and not mails.prevail(source.files)):
        some = source.files[:: len(source.files) // HEAD_FILES]
        return Head(table=folders.read(dataclasses.replace(source, files=some, hidden=()), max_rows=settings.max_rows),
                    complete=False)
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        if (path.stat().st_size > HEAD_BYTES
                and (found := _parts(source, settings, local=_beginnings(path, Path(temporary))))):
            return found
    return Head(table=tables.read(path, settings=settings), complete=True)


def _beginnings(path: Path, folder: Path) -> Callable[[str], Path]:
    """A function that unpacks a member of a ZIP, a text no further than it is looked at."""
    def local(name: str) -> Path:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = target.suffix.lower() in (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".txt")
        try:
            with open_zip(path) as bundle, target.open("wb") as sink:
                member = next(info for info in bundle.infolist() if sources.plain(info.filename) == name)
                with bundle.open(member) as inside:
                    while (piece := inside.read(1 << 20)) and not (text and sink.tell() > HEAD_BYTES):
                        sink.write(piece)
        except UNREADABLE as error:
            raise DataError(f"{name} in {path.name} cannot be read.",
                            why=f"It is damaged or packed in an unknown way ({error}).",
                            remedy="Make the ZIP again with an ordinary tool, then try again.") from error
        return target

    return local


def _parts(source: Source, settings: Settings, *, local: Callable[[str], Path]) -> Head | None:
    """The beginnings of an archive's tables, joined as an import joins them; None where it holds something else."""
    parts = several_files.plan(source.files) if contents.of(source.files) is Contents.TABLE else ()
    if parts and documents.prevail(source.files):
        return None
    parts = spoken_lines.dialogs_of(dataclasses.replace(source, local=local)) or parts
    if not parts or (not any(map(tables.is_table, source.files))
                     and (class_files.are_named(source.files) or parallel_lines.are_pairs(source.files))):
        return None
    larger = dataclasses.replace(settings, max_upload_mb=settings.max_upload_mb * 10)
    heads = [(name, split, read(local(name), settings=larger)) for name, split in parts]
    table = several_files.join([(name, split, head.table) for name, split, head in heads], name=source.name,
                         max_rows=settings.max_rows)
    return Head(table=table, complete=all(head.complete for _, _, head in heads))
