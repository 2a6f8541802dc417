"""Read any supported file into one in-memory table of text, or of names of pictures, with row numbers and every left-out row counted."""

from __future__ import annotations

import codecs
import dataclasses
import itertools
import shutil
import tempfile
import time
import weakref
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.data import encodings
from core.data.archive import check_members, is_tar, unpack_tar, unpack_zip
from core.data.readers import delimited, dialect, excel, folders, json_rows, parquet, pictures
from core.data.readers.table import HEADER_WORDS, Table
from core.data.report import WARNING, Finding, several
from core.errors import DataError
from core.settings import Settings

__all__ = ["FORMATS", "Table", "read"]

FORMATS = ("CSV, TSV, JSON Lines, JSON, Parquet, XLSX, or a ZIP, tar or folder of .txt files or pictures with one folder a class "
           "(or with a table that names the pictures)")
"""What can be imported, for messages and help texts."""

PICTURE = "a single picture"
_FOREIGN = ((b"\x89PNG", PICTURE), (b"\xff\xd8\xff", PICTURE), (b"GIF8", PICTURE), (b"II*\0", PICTURE), (b"MM\0*", PICTURE),
            (b"%PDF", "a PDF"), (b"\x1f\x8b", "a gzip file"), (b"<svg", "an SVG drawing"), (b"<?xml", "an XML file or an SVG drawing"),
            (b"<!doctype html", "a web page"), (b"<html", "a web page"), (b"7z\xbc\xaf", "a 7-Zip archive"), (b"rar!", "a RAR archive"),
            (b"\x7felf", "a program"), (b"mz\x90", "a program"), (b"sqlite format 3", "a database"), (b"\x80\x04", "a Python pickle"),
            (b"\x80\x03", "a Python pickle"), (b"\x80\x05", "a Python pickle"),
            (b"\xd0\xcf\x11\xe0", "an old or a password-protected Office file"))
"""First bytes of a file -> what it is. Letter case does not count."""


_TAR_SUFFIXES = (".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")
_LISTED = 24
"""Pictures of a tar archive that a listing unpacks."""
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx")


def read(path: Path, *, settings: Settings, listing: bool = False) -> Table:
    """Read a table from a file or a folder; the kind is taken from its content first, its name second.

    Cells are text or null. `rows_read == len(table) + len(table.left_out)` always. Raises DataError in three parts when the file
    is missing, too large (`max_upload_mb`, `max_rows`, `max_archive_files`), of another kind, damaged, or without rows. listing: of
    a tar archive, unpack only a few pictures: enough to look at, not to import.
    """
    started = time.perf_counter()
    check_size(path, settings)
    table = _without_nul(_read(path, settings, listing=listing))
    if not table.rows_read:
        raise DataError(f"{path.name} has no rows.", why=f"It was read as {table.format}; there is nothing below the column names.",
                        remedy="Choose a file with at least some rows for each class.")
    return dataclasses.replace(table, read_seconds=time.perf_counter() - started)


def check_size(path: Path, settings: Settings) -> None:
    """Raise DataError when there is no such file or folder, or the file is larger than `max_upload_mb`."""
    if not path.exists():
        raise DataError(f"There is no file {path.name}.", why=f"Nothing was found at {path}.", remedy="Check the path and try again.")
    if path.is_file() and path.stat().st_size > settings.max_upload_mb * 1_000_000:
        raise DataError(f"{path.name} has {path.stat().st_size / 1e6:,.1f} MB, more than the limit of {settings.max_upload_mb:,} MB.",
                        remedy="Import a sample of it, save it as Parquet, or raise THAW_MAX_UPLOAD_MB and start again.")


def is_packed(path: Path, head: bytes) -> bool:
    """Whether a file, of which these are the first bytes, is a tar archive, compressed or not; one that begins as a picture is none."""
    return (head.startswith(_PACKED) or (path.suffix.lower() in _TAR_SUFFIXES and not foreign(head))) and is_tar(path)


def foreign(head: bytes) -> str | None:
    """What a file that begins with these 16 bytes is, where that is nothing to read rows from; None for all else.

    The first bytes count, not the name and not what is appended: a picture with an archive behind it is a picture.
    """
    if (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or (head[:2] == b"BM" and head[6:10] == bytes(4)):
        return PICTURE
    start = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    return next((what for magic, what in _FOREIGN if head.startswith(magic) or start.startswith(magic.lower())), None)


def _not_a_table(name: str, what: str) -> DataError:
    why = "Its first bytes say so, whatever its name."
    if what == PICTURE:
        return DataError(f"{name} is a single picture.", why=why,
                         remedy=f"Pack all pictures into a ZIP like this, or choose them together with their table:\n{pictures.TREE}")
    return DataError(f"{name} is {what}, not a table.", why=why, remedy=f"Import {FORMATS}.")


def _read(path: Path, settings: Settings, *, listing: bool = False) -> Table:
    rows = settings.max_rows
    if path.is_dir():
        return _read_folder(path, settings, name=path.name)
    with path.open("rb") as file:
        head = file.read(16)
    if is_packed(path, head):
        return _read_tar(path, settings, most_pictures=_LISTED if listing else None)
    if what := foreign(head):
        raise _not_a_table(path.name, what)
    suffix = path.suffix.lower()
    if head.startswith(b"PAR1") or suffix in (".parquet", ".pq"):
        return parquet.read(path, max_rows=rows)
    if head.startswith(b"PK\x03\x04") or suffix in (".xlsx", ".xlsm", ".zip"):
        return _read_zip(path, settings)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return json_rows.read(path, max_rows=rows)
    if suffix == ".txt" and not _has_columns(path):
        return folders.read_lines(path, max_rows=rows)
    if suffix not in (".csv", ".tsv", ".tab", ".txt") and head.lstrip()[:1] in (b"{", b"["):
        return json_rows.read(path, max_rows=rows)
    return delimited.read(path, max_rows=rows)


def _has_columns(path: Path) -> bool:
    """Whether a `.txt` file is a table: tabs in every line, quoted words, or a first row of column names that cuts like the others."""
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as file:
        lines = dialect.lines_of(file.read(1 << 16))[: dialect.SAMPLE_ROWS]
    if all("\t" in line for line in lines[:-1] or lines):
        return bool(lines)
    found = dialect.detect_dialect("".join(lines))
    rows = [found.cells(line) for line in lines]
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    width = dialect.common_width([len(row) for row in rows])
    named = found.separator == " " or (len(names) > 1 and len(names) in (width, width - 1) and any(n in HEADER_WORDS for n in names))
    return named and width > 1 and sum(len(row) == width for row in rows) >= 0.9 * len(rows) - 1


def _read_zip(path: Path, settings: Settings) -> Table:
    """An Excel file, a ZIP of `.txt` folders, or a ZIP with one table inside."""
    max_bytes = settings.max_upload_mb * 1_000_000 * 10
    names = zip_names(path, settings)
    if is_excel(path, names):
        return excel.read(path, max_rows=settings.max_rows, max_files=settings.max_archive_files)
    if mostly_pictures(names):
        return _read_picture_zip(path, settings, max_bytes=max_bytes)
    tables = [name for name in names if is_table(name)]
    if len(tables) > 1 or (not tables and not any(name.lower().endswith(".txt") for name in names)):
        raise _unknown_contents(path.name, names)
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        unpacked = unpack_zip(path, Path(temporary), wanted=lambda name: not _is_hidden(name) and (not tables or name == tables[0]),
                              max_files=settings.max_archive_files, max_bytes=max_bytes)
        if tables:
            return dataclasses.replace(_read(unpacked[0], settings), name=path.name)
        return folders.read(Path(temporary), max_rows=settings.max_rows, name=path.name)


def zip_names(path: Path, settings: Settings) -> list[str]:
    """Names of the members of a ZIP that are not hidden, after the checks of `archive.check_members`."""
    with path.open("rb") as file:
        if not file.read(4).startswith(b"PK"):                       # zipfile would also open what is appended to another file
            raise DataError(f"{path.name} cannot be opened.", why="Its first bytes are not those of a ZIP or Excel file.",
                            remedy="Give it the ending of what it is, such as .csv, or pack it again, and import that file.")
    try:
        with zipfile.ZipFile(path) as bundle:
            check_members(bundle.infolist(), path, max_files=settings.max_archive_files, max_bytes=settings.max_upload_mb * 10_000_000)
            return [name for name in bundle.namelist() if not name.endswith("/") and not _is_hidden(name)]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path.name} cannot be opened.", why=f"It is damaged ({error}).",
                        remedy="Save or pack it again and import that file.") from error


def is_excel(path: Path, names: Sequence[str]) -> bool:
    """Whether a ZIP with these members is an Excel file."""
    return "xl/workbook.xml" in names or path.suffix.lower() in (".xlsx", ".xlsm")


def _read_picture_zip(path: Path, settings: Settings, *, max_bytes: int) -> Table:
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        def local(name: str) -> Path:
            return unpack_zip(path, Path(temporary), wanted=lambda member: pictures.plain(member) == name,
                              max_files=settings.max_archive_files, max_bytes=max_bytes)[0]

        return _read_pictures(pictures.zip_source(path, name=path.name, local=local), settings)


def _read_tar(path: Path, settings: Settings, *, most_pictures: int | None) -> Table:
    """A tar archive, unpacked once to a temporary folder that lives as long as the table's pictures.

    most_pictures: unpack no more than these; the others are only listed.
    """
    folder = TemporaryFolder()
    picked = itertools.count()

    def wanted(name: str) -> bool:
        if _is_hidden(name) or not _is_read(name):
            return False
        return most_pictures is None or not pictures.is_picture(name) or next(picked) < most_pictures

    names, written = unpack_tar(path, folder.path, max_files=settings.max_archive_files, max_bytes=settings.max_upload_mb * 10_000_000,
                                wanted=wanted)
    others = [pictures.plain(name) for name in set(names) - set(written)]
    return _read_folder(folder.path, settings, name=path.name, keep=folder, others=[name for name in others if not _is_hidden(name)])


def _read_folder(path: Path, settings: Settings, *, name: str, keep: Any = None, others: Sequence[str] = ()) -> Table:
    """others: files that were not unpacked because Thaw reads none of their kind; they are counted."""
    source = pictures.folder_source(path, name=name, keep=keep)
    source = dataclasses.replace(source, files=tuple(sorted({*source.files, *others})))
    if len(source.files) > settings.max_archive_files:
        raise DataError(f"{name} holds {len(source.files):,} files, more than the limit of {settings.max_archive_files:,}.",
                        remedy="Import a part of it, or raise THAW_MAX_ARCHIVE_FILES and start again.")
    if mostly_pictures(source.files):
        return _read_pictures(source, settings)
    tables = [file for file in source.files if is_table(file)]
    if len(tables) == 1 and keep is not None:
        return dataclasses.replace(_read(path / tables[0], settings), name=name)
    if keep is not None and not any(file.lower().endswith(".txt") for file in source.files):
        raise _unknown_contents(name, source.files)
    return folders.read(path, max_rows=settings.max_rows, name=name)


def _read_pictures(source: pictures.Source, settings: Settings) -> Table:
    return pictures.read(source, max_rows=settings.max_rows, read_table=lambda name: _read(source.local(name), settings),
                         tables=[name for name in source.files if is_table(name)])


def mostly_pictures(names: Sequence[str]) -> bool:
    """Whether a list of files is a set of pictures (with or without a table) rather than of texts."""
    count = sum(pictures.is_picture(name) for name in names)
    return count > 0 and count >= sum(name.lower().endswith(".txt") for name in names)


def _is_read(name: str) -> bool:
    return pictures.is_picture(name) or is_table(name) or name.lower().endswith(".txt")


def is_table(name: str) -> bool:
    """Whether the name ends like a table that can be read."""
    return Path(name).suffix.lower() in _TABLE_SUFFIXES


def _unknown_contents(name: str, files: Sequence[str]) -> DataError:
    """An archive that is neither one table nor folders of texts or pictures."""
    tables = sum(is_table(file) for file in files)
    kinds = Counter(pictures.suffix(file) or "no ending" for file in files)
    if kinds[".svg"] and kinds[".svg"] == max(kinds.values()):
        return DataError(f"{name} holds SVG drawings, not pictures made of pixels.",
                         why="An SVG is a program for drawing; Thaw does not run what comes with data.",
                         remedy=f"Export the drawings as PNG and arrange them like this:\n{pictures.TREE}")
    if any(kind in pictures.ARCHIVES for kind in kinds) and not tables:
        return DataError(f"{name} holds another archive.", why="Archives inside archives are not opened, for safety.",
                         remedy="Unpack it once and import the inner archive or the folder.")
    return DataError(f"{name} holds {tables} tables, {kinds['.txt']:,} .txt files and no pictures that Thaw reads.",
                     why="Found: " + (", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(5)) or "nothing") + ".",
                     remedy=f"Pack one table alone, or .txt files like this:\n{folders.TREE}\nor pictures like this:\n{pictures.TREE}")


class TemporaryFolder:
    """A folder that goes away with the last reference to this object."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="thaw-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _is_hidden(name: str) -> bool:
    return pictures.is_hidden(name.replace("\\", "/"))


def _without_nul(table: Table) -> Table:
    """Take NUL characters out of cells (they break most tools) and say how many rows had one."""
    import numpy as np
    import pyarrow.compute as pc

    data, touched = table.data, None
    for position, name in enumerate(data.column_names):
        column: Any = data.column(position)
        if not any(_has_zero(chunk) for chunk in column.chunks):
            continue
        hits = pc.fill_null(pc.match_substring(column, "\x00"), False)
        if pc.any(hits).as_py():
            touched = hits if touched is None else pc.or_(touched, hits)
            data = data.set_column(position, name, pc.replace_substring(column, "\x00", ""))
    if touched is None:
        return table
    rows = table.row_numbers[np.asarray(touched)]
    finding = Finding(code="nul-bytes", severity=WARNING, count=len(rows),
                      message=several(len(rows), "row holds", "rows hold") + " NUL bytes; these were taken out.",
                      remedy="Look at the rows; if their text is broken, export the file again.", rows=tuple(int(r) for r in rows[:5]))
    return dataclasses.replace(table, data=data, findings=(*table.findings, finding))


def _has_zero(chunk: Any) -> bool:
    """Whether the bytes behind a chunk of strings hold a zero anywhere (also outside of a slice): a quick look before the exact one."""
    import numpy as np

    values = chunk.buffers()[-1]
    return values is not None and not np.frombuffer(values, dtype=np.uint8).all()
