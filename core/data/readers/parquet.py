"""Parquet: plain columns become text, nested and binary ones are set aside with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.data.readers.table import Table, named_columns, too_many_rows, whole_table
from core.errors import DataError

_MAX_GROWTH_BYTES = 4_000_000_000


def read(path: Path, *, max_rows: int) -> Table:
    """Read a Parquet file. Raises DataError when it is damaged, too long, or all its columns are nested."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as start:
        if start.read(4) != b"PAR1":
            raise DataError(f"{path.name} cannot be read as Parquet.",
                            why="Its first bytes are not those of a Parquet file.",
                            remedy="Give it the ending of what it is, such as .csv or .jsonl, and import it again.")
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        if file.metadata.num_rows > max_rows:
            raise too_many_rows(path.name, max_rows)
        if sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)) > _MAX_GROWTH_BYTES:
            raise DataError(f"{path.name} unpacks to more than {_MAX_GROWTH_BYTES / 1e9:.0f} GB.", remedy="Import a sample of its rows.")
        named_columns(schema.names, name=path.name)
        unusable = {field.name: why for field in schema if (why := _unusable(field.type))}
        plain = [name for name in schema.names if name not in unusable]
        if not plain:
            raise DataError(f"Every column of {path.name} is nested or binary.",
                            why="; ".join(f"{name}: {why}" for name, why in list(unusable.items())[:5]) + ".",
                            remedy="Write the text and the label into plain columns of text or numbers and save the file again.")
        read = file.read(columns=plain)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path.name} cannot be read as Parquet.", why=str(error).splitlines()[0][:200].rstrip(".") + ".",
                        remedy="Save the table again, or as CSV or JSON Lines, and import that file.") from error
    label_names = _label_names(schema)
    columns = [to_text_column(read.column(name), label_names.get(name)) for name in plain]
    return whole_table(pa.table(columns, names=plain), max_rows=max_rows, name=path.name, format="Parquet", unusable=unusable)


def _unusable(kind: Any) -> str | None:
    import pyarrow.types as types

    if types.is_nested(kind):
        return f"it is nested ({str(kind)[:60]})"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "it holds binary data"
    return None


def to_text_column(column: Any, names: list[str] | None = None) -> Any:
    """An Arrow column as large_string: whole numbers without `.0`, NaN as null, class numbers as their names where given."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if names and types.is_integer(column.type):
        lookup = dict(enumerate(names))
        named = [None if value is None else lookup.get(value, str(value)) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(named, type=pa.large_string())])
    if types.is_floating(column.type):
        values = pc.if_else(pc.is_nan(column), pa.scalar(None, type=column.type), column)
        whole = pc.all(pc.or_kleene(pc.is_null(values), pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 1e15)))).as_py()
        column = values.cast(pa.int64()) if whole else values
    if types.is_null(column.type):
        return pa.chunked_array([pa.nulls(len(column), pa.large_string())])
    return column.cast(pa.large_string())


def _label_names(schema: Any) -> dict[str, list[str]]:
    """Class names that the `datasets` library keeps in the file's metadata, by column."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if not raw:
        return {}
    try:
        features = json.loads(raw)["info"]["features"]
        return {name: [str(n) for n in spec["names"]] for name, spec in features.items() if isinstance(spec, dict) and "names" in spec}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
