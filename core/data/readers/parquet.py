"""Parquet, and the Arrow files that the `datasets` library and Feather write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.data.readers import columnar, packed_pictures
from core.data.readers.columnar import Columns
from core.data.readers.table import Table, too_many_rows
from core.errors import DataError

_ARROW_FILE, _ARROW_STREAM = b"ARROW1", b"\xff\xff\xff\xff"


def read(path: Path, *, max_rows: int, first_rows: int | None = None) -> Table:
    """Read a Parquet file (first_rows: only its beginning). Raises DataError where it cannot be used."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as start:
        if start.read(4) != b"PAR1":
            raise DataError(f"{path.name} cannot be read as Parquet.",
                            why="Its first bytes are not those of a Parquet file.",
                            remedy="Give it the ending of what it is, such as .csv or .jsonl, and import it again.")

    def batches(columns: Sequence[str], rows: int) -> Iterator[Any]:
        return iter(file.iter_batches(batch_size=rows, columns=list(columns)))

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            if first_rows is None and file.metadata.num_rows > max_rows:
                raise too_many_rows(path.name, max_rows)
            columns = Columns(schema=file.schema_arrow, batches=batches)
            return _read(columns, name=path.name, format="Parquet", max_rows=max_rows, first_rows=first_rows)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise _unreadable(path, "Parquet", error) from error


def is_columnar(head: bytes) -> bool:
    """Whether a file that begins like this is Parquet or Arrow."""
    return head.startswith(b"PAR1") or is_arrow(head)


def is_arrow(head: bytes) -> bool:
    """Whether a file that begins like this is an Arrow file or stream (Feather since version 2)."""
    return head.startswith((_ARROW_FILE, _ARROW_STREAM))


def read_arrow(path: Path, *, max_rows: int, first_rows: int | None = None) -> Table:
    """Read an Arrow file or stream (first_rows: only its beginning). Raises DataError where it cannot be used."""
    import pyarrow as pa

    def opened() -> Any:
        with path.open("rb") as start:
            stream = start.read(4) == _ARROW_STREAM
        return pa.ipc.open_stream(str(path)) if stream else pa.ipc.open_file(str(path))

    def batches(columns: Sequence[str], rows: int) -> Iterator[Any]:
        with opened() as file:
            whole = file if isinstance(file, pa.ipc.RecordBatchStreamReader) else map(
                file.get_batch, range(file.num_record_batches))
            for batch in whole:
                for start in range(0, batch.num_rows, rows):
                    yield batch.select(list(columns)).slice(start, rows)

    try:
        with opened() as file:
            schema = file.schema
        return _read(Columns(schema=schema, batches=batches), name=path.name, format="Arrow", max_rows=max_rows,
                     first_rows=first_rows)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise _unreadable(path, "Arrow", error) from error


def _read(file: Columns, *, name: str, format: str, max_rows: int, first_rows: int | None) -> Table:
    table = columnar.read(file, name=name, format=format, max_rows=max_rows, first_rows=first_rows)
    return packed_pictures.with_pictures(table, file, first_rows=first_rows)


def _unreadable(path: Path, kind: str, error: BaseException) -> DataError:
    lines = str(error).splitlines() or [type(error).__name__]
    why = lines[0].encode("utf-8", "replace").decode()[:200].rstrip(".")
    return DataError(f"{path.name} cannot be read as {kind}.", why=f"It is damaged or of an unknown kind ({why}).",
                     remedy="Save the table again, or as CSV or JSON Lines, and import that file.")
