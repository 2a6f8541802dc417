"""Arrow columns as text: whatever the type, either large_string or the reason why it cannot be text."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from core.data import encodings
from core.data.readers.chat_json import CONTENT_KEYS, HOLDERS, SPEAKER_KEYS

_CONTROL = frozenset(range(32)) - {9, 10, 13}


class NotText(Exception):
    """A column whose values cannot be written as text; the message says why."""


def unusable(kind: Any) -> str | None:
    """Why no column of this Arrow type can be text; None where it can (binary columns: where their bytes are text)."""
    import pyarrow as pa
    import pyarrow.types as types

    if isinstance(kind, pa.BaseExtensionType):
        return None if str(kind.extension_name) == "arrow.uuid" else unusable(kind.storage_type)
    if types.is_dictionary(kind):
        return unusable(kind.value_type)
    if types.is_nested(kind):
        if holds_turns(kind):
            return None
        return f"it is nested ({str(kind)[:60]})"
    if types.is_fixed_size_binary(kind):
        return "it holds binary data"
    return None


def holds_turns(kind: Any, *, deepest: int = 3) -> bool:
    """Whether values of this nested type are conversations: lists of structs with a role and a content."""
    import pyarrow.types as types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_list_view(kind):
        turn = kind.value_type
        names = {field.name for field in turn} if types.is_struct(turn) else set()
        return bool(names.intersection(SPEAKER_KEYS) and names.intersection(CONTENT_KEYS))
    inside = list(kind) if types.is_struct(kind) and deepest else []
    return any(field.name in HOLDERS and holds_turns(field.type, deepest=deepest - 1) for field in inside)


def holds_picture(kind: Any) -> bool:
    """Whether values of this type are pictures as the `datasets` library keeps them: `{"bytes": …, "path": …}`."""
    import pyarrow.types as types

    return bool(types.is_struct(kind)) and {"bytes", "path"} <= {field.name for field in kind}


def is_list_of_plain(kind: Any) -> bool:
    """Whether values of this type are lists of plain values."""
    import pyarrow.types as types

    return bool((types.is_list(kind) or types.is_large_list(kind)) and unusable(kind.value_type) is None
                and not types.is_nested(kind.value_type) and not is_binary(kind.value_type))


def single_values(column: Any) -> Any:
    """Lists of one value as that value, empty ones as null. Raises NotText where a list holds several."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if (pc.max(pc.list_value_length(column)).as_py() or 0) > 1:
        raise NotText("it holds lists of several values, not one a row")
    inner = column.type.value_type
    return pa.chunked_array([pa.array([cells[0] if cells else None for cells in column.to_pylist()], type=inner)])


def is_binary(kind: Any) -> bool:
    """Whether a column of this type holds bytes, which may or may not be text."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return is_binary(kind.value_type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def holds_text(cells: Sequence[bytes | None]) -> bool:
    """Whether these bytes are text that some tool wrote without saying so: UTF-8 without control characters."""
    filled = [cell for cell in cells if cell]
    try:
        for cell in filled:
            cell.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(filled) and not any(_CONTROL.intersection(cell) for cell in filled)


def to_text_column(column: Any, names: list[str] | None = None) -> tuple[Any, int]:
    """(a chunked array as large_string, cells of it that were no valid UTF-8): NaN is null, whole numbers lose their
    `.0`.

    names: class names, for a column of class numbers. Cells that are not UTF-8 are read as Windows-1252. Raises
    NotText.
    """
    import pyarrow as pa
    import pyarrow.types as types

    column = _plain(column)
    kind = column.type
    if names and types.is_integer(kind):
        lookup = dict(enumerate(names))
        return _listed(None if value is None else lookup.get(value, str(value)) for value in column.to_pylist()), 0
    if types.is_floating(kind):
        column = _numbers(column)
    elif types.is_nested(kind):
        return _listed(None if value is None else json.dumps(value, ensure_ascii=False, default=str)
                       for value in column.to_pylist()), 0
    elif (types.is_timestamp(kind) and kind.tz):  # the zone may be one that this computer does not know
        column = column.cast(pa.timestamp(kind.unit)).cast(pa.timestamp(kind.unit, tz="UTC"))
    elif is_binary(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _strings(column)
    try:
        return column.cast(pa.large_string()), 0
    except (pa.ArrowException, ValueError):
        return _by_value(column), 0


def _plain(column: Any) -> Any:
    """The column without dictionary and extension types; UUIDs as text."""
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_dictionary(column.type):
        return _plain(column.cast(column.type.value_type))
    if isinstance(column.type, pa.BaseExtensionType):
        is_uuid = str(column.type.extension_name) == "arrow.uuid"
        stored = pa.chunked_array([chunk.storage for chunk in column.chunks], type=column.type.storage_type)
        return (_listed(None if v is None else str(uuid.UUID(bytes=v)) for v in stored.to_pylist()) if is_uuid
                else _plain(stored))
    return column


def _numbers(column: Any) -> Any:
    """Floats with NaN as null; as integers where all are whole."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type == pa.float16():
        column = column.cast(pa.float32())
    values = pc.if_else(pc.is_nan(column), pa.scalar(None, type=column.type), column)
    whole = pc.all(pc.or_kleene(pc.is_null(values),
                                pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 1e15)))).as_py()
    return values.cast(pa.int64()) if whole else values


def _strings(column: Any) -> tuple[Any, int]:
    """Strings, or bytes that should be, as large_string; cells that are not UTF-8 are decoded singly and counted."""
    import pyarrow as pa

    try:
        text = column.cast(pa.large_binary()).cast(pa.large_string())              # checks every byte
        text.validate(full=True)
    except pa.ArrowException:
        pass
    else:
        return text, 0
    try:
        cells = column.cast(pa.large_binary()).to_pylist()
    except pa.ArrowException as error:
        raise NotText(f"its values are damaged ({str(error)[:80]})") from error
    decoded = [None if cell is None else cell.decode("utf-8", encodings.FALLBACK) for cell in cells]
    bad = sum(cell is not None and not _is_utf8(cell) for cell in cells)
    return _listed(decoded), bad


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _by_value(column: Any) -> Any:
    """Values that Arrow cannot cast, written as Python writes them."""
    import pyarrow as pa

    try:
        return _listed(None if value is None else str(value) for value in column.to_pylist())
    except (pa.ArrowException, ValueError, OverflowError, TypeError) as error:
        raise NotText(f"values of the type {str(column.type)[:60]} cannot be written as text") from error


def _listed(cells: Any) -> Any:
    import pyarrow as pa

    return pa.chunked_array([pa.array(list(cells), type=pa.large_string())])
