"""Columns of Arrow types, from whatever file holds them: plain ones become text, structs are taken apart, nested and
binary ones are set aside with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from core.data.readers import exchanges, json_rows
from core.data.readers.arrow_text import (
    NotText,
    holds_picture,
    holds_text,
    holds_turns,
    is_binary,
    is_list_of_plain,
    single_values,
    to_text_column,
    unusable,
)
from core.data.readers.json_shapes import Item
from core.data.readers.table import Table, named_columns, whole_table
from core.data.report import WARNING, Finding, several
from core.data.roles import is_named
from core.domain.dataset import Role
from core.errors import DataError

_MAX_GROWTH_BYTES = 2_000_000_000
"""Bytes that the rows may take in memory. A page that repeats one long text may be tiny in the file."""
_BATCH_ROWS = 256
_PEEK_ROWS = 50
_MOST_FIELDS = 32
"""Fields of a struct that become columns of their own."""
_DEEPEST = 3
"""Structs inside structs that are taken apart."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """A file of Arrow columns."""

    schema: Any
    batches: Callable[[Sequence[str], int], Iterator[Any]]
    """(names of columns, rows a batch) -> record batches of these columns."""

    def unnested(self, *, deepest: int = _DEEPEST) -> Columns:
        """The same with the fields of structs as columns `struct.field`; conversations and pictures stay whole."""
        wide = {field.name: [inner.name for inner in field.type] for field in self.schema if _is_row(field.type)}
        origin = {f"{name}.{inner}": name for name, fields in wide.items() for inner in fields}
        names = [field.name for field in self.schema if field.name not in wide]
        if not wide or not deepest or len({*names, *origin}) < len(names) + len(origin):
            return self
        origin |= {name: name for name in names}

        def batches(columns: Sequence[str], rows: int) -> Iterator[Any]:
            for batch in self.batches(list(dict.fromkeys(origin[name] for name in columns)), rows):
                yield from _apart(batch, wide).select(list(columns)).combine_chunks().to_batches()

        schema = _apart(self.schema.empty_table(), wide).schema
        return Columns(schema=schema, batches=batches).unnested(deepest=deepest - 1)


def _is_row(kind: Any) -> bool:
    """Whether values of this type are parts of a row: a struct of a few fields that is neither a conversation nor a
    picture."""
    import pyarrow.types as types

    return bool(types.is_struct(kind) and 0 < kind.num_fields <= _MOST_FIELDS and not holds_turns(kind)
                and not holds_picture(kind))


def _apart(rows: Any, wide: Mapping[str, Any]) -> Any:
    """A table of a batch or table with these structs taken apart, each in its place."""
    import pyarrow as pa
    import pyarrow.compute as pc

    arrays: list[Any] = []
    names: list[str] = []
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        inner = [field.name for field in column.type] if name in wide else []
        arrays += [pc.struct_field(column, [at]) for at in range(len(inner))] if inner else [column]
        names += [f"{name}.{field}" for field in inner] or [name]
    return pa.table(arrays, names=names)


def read(file: Columns, *, name: str, format: str, max_rows: int, first_rows: int | None) -> Table:
    """The rows of a file (first_rows: only its beginning). Raises DataError where no column can be used."""
    import pyarrow as pa

    if (items := _exchanges(file, first_rows=first_rows)) is not None:
        return json_rows.collect(items, name=name, max_rows=max_rows, format=format)
    label_names, file = _label_names(file.schema), file.unnested()
    schema = file.schema
    columns = named_columns(schema.names, name=name)
    lists = {field.name for field in schema if is_named(field.name, Role.LABEL) and is_list_of_plain(field.type)}
    aside = {field.name: why for field in schema if field.name not in lists and (why := unusable(field.type))}
    aside |= _binary(file, [field.name for field in schema if field.name not in aside and is_binary(field.type)])
    plain = [column for column in schema.names if column not in aside]
    if plain:
        data = _rows(file, plain, name=name, first_rows=first_rows)
        texts, findings = {}, []
        for column in plain:
            try:
                texts[column], bad = to_text_column(
                    single_values(data.column(column)) if column in lists else data.column(column),
                    label_names.get(column))
            except NotText as problem:
                aside[column] = str(problem)
                continue
            if bad:
                findings.append(_not_utf8(column, bad))
        if texts:
            named = {columns[schema.names.index(old)]: text for old, text in texts.items()}
            return whole_table(pa.table(named), max_rows=max_rows, name=name, format=format, findings=findings,
                               unusable={columns[schema.names.index(old)]: why for old, why in aside.items()})
    raise DataError(f"Every column of {name} is nested or binary.",
                    why="; ".join(f"{column}: {why}" for column, why in list(aside.items())[:5]) + ".",
                    remedy="Write the text and the label into plain columns of text or numbers and save "
                           "the file again.")


def _exchanges(file: Columns, *, first_rows: int | None) -> Iterator[Item] | None:
    """The rows as objects, where they are of a kind that holds conversations in a way of its own; None for others."""
    names = [field.name for field in file.schema if not is_binary(field.type) and not holds_picture(field.type)]
    first = next(file.batches(names, _PEEK_ROWS), None) if exchanges.may_be(names) else None
    if first is None or exchanges.reader_of([row for row, _ in _objects(first.slice(0, _PEEK_ROWS)) if row]) is None:
        return None
    return islice(chain.from_iterable(map(_objects, file.batches(names, _BATCH_ROWS))), first_rows)


def _objects(batch: Any) -> Iterator[Item]:
    """The rows of a batch as objects, or why one cannot be: text that is no UTF-8, times of unknown zones."""
    try:
        rows = batch.to_pylist()
    except (ValueError, KeyError) as error:
        if batch.num_rows > 1:
            for at in range(batch.num_rows):
                yield from _objects(batch.slice(at, 1))
        else:
            yield None, f"its values cannot be read ({str(error)[:80]})"
        return
    yield from ((row, "") for row in rows)


def _binary(file: Columns, names: Sequence[str]) -> dict[str, str]:
    """Those of these columns of bytes that do not begin with text -> why they are set aside."""
    if not names:
        return {}
    batch = next(file.batches(names, _PEEK_ROWS), None)
    return {name: "it holds binary data" for name in names if batch is None
            or not holds_text(batch.column(name).to_pylist())}


def _rows(file: Columns, columns: Sequence[str], *, name: str, first_rows: int | None) -> Any:
    """The columns, read in small batches so that a file which unpacks to too much is noticed in time."""
    import pyarrow as pa

    batches: list[Any] = []
    size = rows = 0
    for batch in file.batches(columns, _BATCH_ROWS if first_rows is None else first_rows):
        batch = _decoded(batch)
        batches.append(batch)
        size, rows = size + batch.nbytes, rows + batch.num_rows
        if size > _MAX_GROWTH_BYTES:
            raise DataError(f"{name} unpacks to more than {_MAX_GROWTH_BYTES / 1e9:.0f} GB.",
                            remedy="Import a sample of its rows.")
        if first_rows is not None and rows >= first_rows:
            break
    if not batches:
        return pa.schema([file.schema.field(column) for column in columns]).empty_table()
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
