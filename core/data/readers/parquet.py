"""Parquet: plain columns become text, nested and binary ones are set aside with the reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.data.readers.arrow_text import NotText, holds_text, is_binary, to_text_column, unusable
from core.data.readers.table import Table, named_columns, too_many_rows, whole_table
from core.data.report import WARNING, Finding, several
from core.errors import DataError

_MAX_GROWTH_BYTES = 2_000_000_000
"""Bytes that the rows may take in memory. A page that repeats one long text may be tiny in the file."""
_BATCH_ROWS = 256
_PEEK_ROWS = 50


def read(path: Path, *, max_rows: int, first_rows: int | None = None) -> Table:
    """Read a Parquet file (first_rows: only its beginning). Raises DataError where it cannot be used."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as start:
        if start.read(4) != b"PAR1":
            raise DataError(f"{path.name} cannot be read as Parquet.",
                            why="Its first bytes are not those of a Parquet file.",
                            remedy="Give it the ending of what it is, such as .csv or .jsonl, and import it again.")
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            if first_rows is None and file.metadata.num_rows > max_rows:
                raise too_many_rows(path.name, max_rows)
            return _read(file, name=path.name, max_rows=max_rows, first_rows=first_rows)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(f"{path.name} cannot be read as Parquet.", why=_first_line(error),
                        remedy="Save the table again, or as CSV or JSON Lines, and import that file.") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return ("It is damaged or of an unknown kind (" + lines[0].encode("utf-8", "replace").decode()[:200].rstrip(".")
            + ").")


def _read(file: Any, *, name: str, max_rows: int, first_rows: int | None) -> Table:
    import pyarrow as pa

    schema = file.schema_arrow
    columns = named_columns(schema.names, name=name)
    aside = {field.name: why for field in schema if (why := unusable(field.type))}
    aside |= _binary(file, [field.name for field in schema if field.name not in aside and is_binary(field.type)])
    plain = [column for column in schema.names if column not in aside]
    if plain:
        data = _rows(file, plain, name=name, first_rows=first_rows)
        label_names, texts, findings = _label_names(schema), {}, []
        for column in plain:
            try:
                texts[column], bad = to_text_column(data.column(column), label_names.get(column))
            except NotText as problem:
                aside[column] = str(problem)
                continue
            if bad:
                findings.append(_not_utf8(column, bad))
        if texts:
            named = {columns[schema.names.index(old)]: text for old, text in texts.items()}
            return whole_table(pa.table(named), max_rows=max_rows, name=name, format="Parquet", findings=findings,
                               unusable={columns[schema.names.index(old)]: why for old, why in aside.items()})
    raise DataError(f"Every column of {name} is nested or binary.",
                    why="; ".join(f"{column}: {why}" for column, why in list(aside.items())[:5]) + ".",
                    remedy="Write the text and the label into plain columns of text or numbers and save "
                           "the file again.")


def _binary(file: Any, names: Sequence[str]) -> dict[str, str]:
    """Those of these columns of bytes that do not begin with text -> why they are set aside."""
    if not names:
        return {}
    batch = next(file.iter_batches(batch_size=_PEEK_ROWS, columns=list(names)), None)
    return {name: "it holds binary data" for name in names if batch is None
            or not holds_text(batch.column(name).to_pylist())}


def _rows(file: Any, columns: Sequence[str], *, name: str, first_rows: int | None) -> Any:
    """The columns, read in small batches so that a file which unpacks to too much is noticed in time."""
    import pyarrow as pa

    batches: list[Any] = []
    size = rows = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS if first_rows is None else first_rows, columns=list(columns)):
        batch = _decoded(batch)
        batches.append(batch)
        size, rows = size + batch.nbytes, rows + batch.num_rows
        if size > _MAX_GROWTH_BYTES:
            raise DataError(f"{name} unpacks to more than {_MAX_GROWTH_BYTES / 1e9:.0f} GB.",
                            remedy="Import a sample of its rows.")
        if first_rows is not None and rows >= first_rows:
            break
    if not batches:
        return pa.schema([file.schema_arrow.field(column) for column in columns]).empty_table()
    return pa.Table.from_batches(batches)


def _decoded(batch: Any) -> Any:
    """A batch with a value in each cell, where its columns name values of a dictionary."""
    import pyarrow as pa

    columns = [column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
               for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _not_utf8(column: str, bad: int) -> Finding:
    return Finding(code="mixed-encodings", severity=WARNING, count=bad, example=column,
                   message=several(bad, "cell", "cells") + f" of the column {column[:40]!r} "
                           + ("is" if bad == 1 else "are")
                   + " not UTF-8, as Parquet wants it; read as Windows-1252.",
                   remedy="Look for odd characters in the preview; write the file again from texts in Unicode if "
                          "there are any.")


def _label_names(schema: Any) -> dict[str, list[str]]:
    """Class names that the `datasets` library keeps in the file's metadata, by column."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if not raw:
        return {}
    try:
        features = json.loads(raw)["info"]["features"]
        return {name: [str(n) for n in spec["names"]] for name, spec in features.items() if isinstance(spec, dict)
                and "names" in spec}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
