"""The beginning of a file, for the preview: a large file is never read whole into the process that asks.

Text files are cut after the first megabyte, Parquet gives its first batch of rows, archives their list of files; a large
Excel file, whose cells cannot be had without most of it, is read by a process of its own.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import settings as settings_module
from core.data import encodings, tables
from core.data.archive import unpack_zip
from core.data.readers import parquet
from core.data.readers.table import RowBuilder, Table
from core.data.source import plain
from core.errors import DataError
from core.settings import Settings

HEAD_BYTES = 1 << 20
HEAD_ROWS = 200
_EXCEL_ALONE_BYTES = 3_000_000
_TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """The first rows of a file."""

    table: Table
    complete: bool
    """Whether the table is the whole file."""


def read(path: Path, *, settings: Settings) -> Head:
    """The first rows, read as `tables.read` reads the whole. Raises the same errors, as far as the beginning shows them."""
    tables.check_size(path, settings)
    if path.is_dir():
        return Head(table=tables.read(path, settings=settings), complete=True)
    with path.open("rb") as file:
        start = file.read(16)
    size, suffix = path.stat().st_size, path.suffix.lower()
    if start.startswith(b"PAR1"):
        return _parquet(path, settings)
    if start.startswith(b"PK\x03\x04"):
        return _zip(path, settings)
    if tables.is_packed(path, start):
        return Head(table=tables.read(path, settings=settings, listing=True), complete=True)
    if suffix in (".xlsx", ".xlsm") or size <= HEAD_BYTES or tables.foreign(start):
        return Head(table=tables.read(path, settings=settings), complete=True)
    return _text(path, settings)


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


def _parquet(path: Path, settings: Settings) -> Head:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, pre_buffer=False)
        rows = file.metadata.num_rows
        if rows <= HEAD_ROWS:
            return Head(table=tables.read(path, settings=settings), complete=True)
        batch = next(file.iter_batches(batch_size=HEAD_ROWS), None)
    except (pa.ArrowException, OSError, ValueError):
        return Head(table=tables.read(path, settings=settings), complete=True)       # says what is wrong with it
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        cut = Path(temporary) / path.name
        pq.write_table(pa.Table.from_batches([batch], schema=file.schema_arrow), cut)
        table = parquet.read(cut, max_rows=settings.max_rows)
    return Head(table=table, complete=False)


def _zip(path: Path, settings: Settings) -> Head:
    """A ZIP: Excel (large ones in a process of their own), pictures (listed only), or one table of which the beginning is unpacked."""
    names = tables.zip_names(path, settings)
    if tables.is_excel(path, names):
        if path.stat().st_size > _EXCEL_ALONE_BYTES:
            return _elsewhere(path)
        return Head(table=tables.read(path, settings=settings), complete=True)
    if tables.contents(names) != tables.TABLE or path.stat().st_size <= HEAD_BYTES:
        return Head(table=tables.read(path, settings=settings), complete=True)
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        packed = next(name for name in names if tables.is_table(name))
        inner = unpack_zip(path, Path(temporary), wanted=lambda name: plain(name) == packed, max_files=settings.max_archive_files,
                           max_bytes=settings.max_upload_mb * 10_000_000)[0]
        found = read(inner, settings=dataclasses.replace(settings, max_upload_mb=settings.max_upload_mb * 10))
    return Head(table=dataclasses.replace(found.table, name=path.name), complete=found.complete)


def _elsewhere(path: Path) -> Head:
    """Read the whole file in a process of its own and take over only the first rows."""
    try:
        done = subprocess.run([sys.executable, "-m", "core.data.head", str(path)], capture_output=True, timeout=_TIMEOUT_S, check=False,
                              cwd=Path(__file__).parents[2])
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{path.name} takes too long to look at.", why=f"Its first rows were not there after {_TIMEOUT_S} seconds.",
                        remedy="Save it as CSV (UTF-8) or Parquet and import that file.") from error
    if done.returncode:
        raise DataError(f"{path.name} cannot be looked at.", why="The process that read it ended without a result; it may lack memory.",
                        remedy="Save it as CSV (UTF-8) or Parquet and import that file.")
    answer = json.loads(done.stdout)
    if "what" in answer:
        raise DataError(answer["what"], why=answer["why"], remedy=answer["remedy"])
    builder = RowBuilder(answer["columns"], max_rows=HEAD_ROWS, name=path.name)
    for row in answer["rows"]:
        builder.add(row)
    return Head(table=builder.table(format=answer["format"]), complete=answer["complete"])


def main(path: str) -> None:
    """Write the first rows of a file to stdout as JSON; settings come from the environment."""
    try:
        table = tables.read(Path(path), settings=settings_module.load())
    except DataError as error:
        answer: dict[str, Any] = {"what": error.what, "why": error.why, "remedy": error.remedy}
    else:
        rows = [list(row.values()) for row in table.data.slice(0, HEAD_ROWS).to_pylist()]
        answer = {"columns": list(table.columns), "rows": rows, "format": table.format, "complete": len(table) <= HEAD_ROWS}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
