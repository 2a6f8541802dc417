"""Frozen dataclasses to plain JSON values and back, by their type hints."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Dataclasses to dicts, tuples to lists, enums to their values; the rest as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    return value


def from_json(kind: type[T], data: Any) -> T:
    """The inverse of `to_json`. Unknown keys are ignored, missing ones take the field's default.

    Raises TypeError when a field without default is missing.
    """
    return typing.cast(T, _build(kind, data))


def _build(kind: Any, data: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [a for a in typing.get_args(kind) if a is not type(None)]
        return None if data is None else _build(options[0], data)
    if origin is tuple:
        args = typing.get_args(kind)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_build(args[0], item) for item in data)
        return tuple(_build(a, item) for a, item in zip(args, data, strict=True))
    if origin is dict:
        _, value_kind = typing.get_args(kind)
        return {k: _build(value_kind, v) for k, v in data.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        fields = _field_types(kind)
        return kind(**{k: v if fields[k] is None else _build(fields[k], v) for k, v in data.items() if k in fields})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and isinstance(data, int):
        return float(data)
    return data


@functools.cache
def _field_types(kind: type) -> dict[str, Any]:
    """Field name -> type, None where JSON's own value is taken as it is. Evaluating the hints takes a millisecond, so it is done once."""
    hints = typing.get_type_hints(kind)
    return {f.name: None if _is_plain(hints[f.name]) else hints[f.name] for f in dataclasses.fields(kind)}


def _is_plain(kind: Any) -> bool:
    """Whether a value of this type is the same in JSON."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return all(_is_plain(option) for option in typing.get_args(kind))
    return kind in (str, int, bool, Any, type(None))
