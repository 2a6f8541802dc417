"""Read any supported file into one in-memory table of text, with the original row numbers and every left-out row counted."""

from __future__ import annotations

import dataclasses
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from core.data.archive import check_members, unpack_zip
from core.data.readers import delimited, excel, folders, json_rows, parquet
from core.data.readers.table import Table
from core.data.report import WARNING, Finding, several
from core.errors import DataError
from core.settings import Settings

__all__ = ["FORMATS", "Table", "read"]

FORMATS = "CSV, TSV, JSON Lines, JSON, Parquet, XLSX, or a ZIP or folder of .txt files with one folder a class"
"""What can be imported, for messages and help texts."""

_NOT_TABLES = ((b"%PDF", "a PDF"), (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"),
               (b"\x1f\x8b", "a gzip archive"), (b"7z\xbc\xaf", "a 7-Zip archive"),
               (b"Rar!", "a RAR archive"), (b"\x7fELF", "a program"), (b"MZ", "a program"),
               (b"SQLite format 3", "a database"), (b"\x80\x04", "a Python pickle"), (b"\x80\x03", "a Python pickle"),
               (b"\x80\x05", "a Python pickle"), (b"\xd0\xcf\x11\xe0", "an old or a password-protected Office file"))


_TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx")


def read(path: Path, *, settings: Settings) -> Table:
    """Read a table from a file or a folder; the kind is taken from its content first, its name second.

    Cells are text or null. `rows_read == len(table) + len(table.left_out)` always. Raises DataError in three parts when the file
    is missing, too large (`max_upload_mb`, `max_rows`, `max_archive_files`), of another kind, damaged, or without rows.
    """
    started = time.perf_counter()
    if not path.exists():
        raise DataError(f"There is no file {path.name}.", why=f"Nothing was found at {path}.", remedy="Check the path and try again.")
    if path.is_file() and path.stat().st_size > settings.max_upload_mb * 1_000_000:
        raise DataError(f"{path.name} has {path.stat().st_size / 1e6:,.0f} MB, more than the limit of {settings.max_upload_mb:,} MB.",
                        remedy="Import a sample of it, save it as Parquet, or raise THAW_MAX_UPLOAD_MB and start again.")
    table = _without_nul(_read(path, settings))
    if not table.rows_read:
        raise DataError(f"{path.name} has no rows.", why=f"It was read as {table.format}; there is nothing below the column names.",
                        remedy="Choose a file with at least some rows for each class.")
    return dataclasses.replace(table, read_seconds=time.perf_counter() - started)


def _read(path: Path, settings: Settings) -> Table:
    rows = settings.max_rows
    if path.is_dir():
        return folders.read(path, max_rows=rows)
    with path.open("rb") as file:
        head = file.read(16)
    for magic, what in _NOT_TABLES:
        if head.startswith(magic):
            raise DataError(f"{path.name} is {what}, not a table.", why="Its first bytes say so, whatever its name.",
                            remedy=f"Import {FORMATS}.")
    suffix = path.suffix.lower()
    if head.startswith(b"PAR1") or suffix in (".parquet", ".pq"):
        return parquet.read(path, max_rows=rows)
    if head.startswith(b"PK\x03\x04") or suffix in (".xlsx", ".xlsm", ".zip"):
        return _read_zip(path, settings)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return json_rows.read(path, max_rows=rows)
    if suffix == ".txt" and not _has_tabs(path):
        return folders.read_lines(path, max_rows=rows)
    if suffix not in (".csv", ".tsv", ".tab", ".txt") and head.lstrip()[:1] in (b"{", b"["):
        return json_rows.read(path, max_rows=rows)
    return delimited.read(path, max_rows=rows)


def _has_tabs(path: Path) -> bool:
    with path.open("rb") as file:
        lines = [line for line in file.read(1 << 16).splitlines() if line.strip()]
    return bool(lines) and all(b"\t" in line for line in lines[:-1] or lines)


def _read_zip(path: Path, settings: Settings) -> Table:
    """An Excel file, a ZIP of `.txt` folders, or a ZIP with one table inside."""
    max_bytes = settings.max_upload_mb * 1_000_000 * 10
    try:
        with zipfile.ZipFile(path) as bundle:
            check_members(bundle.infolist(), path, max_files=settings.max_archive_files, max_bytes=max_bytes)
            names = [name for name in bundle.namelist() if not name.endswith("/") and not _is_hidden(name)]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path.name} cannot be opened.", why=f"It is damaged ({error}).",
                        remedy="Save or pack it again and import that file.") from error
    if any(name == "xl/workbook.xml" for name in names) or path.suffix.lower() in (".xlsx", ".xlsm"):
        return excel.read(path, max_rows=settings.max_rows, max_files=settings.max_archive_files)
    tables = [name for name in names if Path(name).suffix.lower() in _TABLE_SUFFIXES]
    texts = [name for name in names if name.lower().endswith(".txt")]
    if len(tables) > 1 or (not tables and not texts):
        raise DataError(f"{path.name} holds {len(tables)} tables and {len(texts)} .txt files.",
                        why="Thaw needs one table, or one folder of .txt files a class.",
                        remedy=f"Pack one table alone, or .txt files like this:\n{folders.TREE}")
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        unpacked = unpack_zip(path, Path(temporary), wanted=lambda name: not _is_hidden(name) and (not tables or name == tables[0]),
                              max_files=settings.max_archive_files, max_bytes=max_bytes)
        if tables:
            return dataclasses.replace(_read(unpacked[0], settings), name=path.name)
        return folders.read(Path(temporary), max_rows=settings.max_rows, name=path.name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _without_nul(table: Table) -> Table:
    """Take NUL characters out of cells (they break most tools) and say how many rows had one."""
    import numpy as np
    import pyarrow.compute as pc

    data, touched = table.data, None
    for position, name in enumerate(data.column_names):
        column: Any = data.column(position)
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
