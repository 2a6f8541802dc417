"""Frozen dataclasses to plain JSON values and back, by their type hints."""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import typing
from enum import Enum
from typing import Any, TypeVar

from core.domain import document_versions

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

    A dataclass with a `schema_version` is brought forward first by its `upgrade`, see `core.versions`. Raises
    NewerVersionError for a version that is not known yet, TypeError when a field without default is missing.
    """
    return typing.cast(T, _build(kind, data))


def read(kind: type[T], data: Any) -> T:
    """`from_json` of a file that may be damaged: ValueError, with the reason, when it is not a value of that kind in
    every part."""
    try:
        found = from_json(kind, data)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)[:200] or type(error).__name__) from error
    if wrong := _mismatch(found, kind, ""):
        raise ValueError(wrong)
    return found


def _mismatch(value: Any, kind: Any, where: str) -> str:
    """What is not of the type that the hints say, as `counts.train: 'x' is not an int`; empty when all is."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return ""
    if origin in (typing.Union, types.UnionType):
        found = [_mismatch(value, option, where) for option in args]
        return "" if "" in found else found[0]
    if origin is tuple and isinstance(value, tuple):
        kinds = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else args
        return next((wrong for part, of in zip(value, kinds, strict=False) if (wrong := _mismatch(part, of, where))),
                    "")
    if origin is dict and isinstance(value, dict):
        return next((wrong for key, part in value.items() if (wrong := _mismatch(part, args[1], f"{where}.{key}"))), "")
    if dataclasses.is_dataclass(kind) and isinstance(value, typing.cast(type, kind)):
        hints = _hints(typing.cast(type, kind))
        return next((wrong for name, hint in hints.items()
                     if (wrong := _mismatch(getattr(value, name), hint, f"{where}.{name}"))), "")
    plain = origin or kind
    fits = (isinstance(value, (int, float) if plain is float else plain)
            and (plain is bool or not isinstance(value, bool)))
    return "" if fits else f"{where.lstrip('.') or 'it'}: {value!r:.40} is not {getattr(plain, '__name__', plain)}"


def _build(kind: Any, data: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [a for a in typing.get_args(kind) if a is not type(None)]
        return None if data is None else _build(options[0], data)
    if origin is tuple:
        if not isinstance(data, (list, tuple)):
            raise TypeError(f"{data!r:.40} is not a list")
        args = typing.get_args(kind)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_build(args[0], item) for item in data)
        return tuple(_build(a, item) for a, item in zip(args, data, strict=True))
    if origin is dict:
        _, value_kind = typing.get_args(kind)
        return {k: _build(value_kind, v) for k, v in data.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        fields = _field_types(kind)
        if document_versions.KEY in fields:
            words = re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower()
            upgrade = getattr(kind, "upgrade", dict)
            data = document_versions.forward(data, now=vars(kind)[document_versions.KEY], what=words, upgrade=upgrade)
        return kind(**{k: v if fields[k] is None else _build(fields[k], v) for k, v in data.items() if k in fields})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and isinstance(data, int):
        return float(data)
    return data


@functools.cache
def _field_types(kind: type) -> dict[str, Any]:
    """Field name -> type, None where JSON's own value is taken as it is. Evaluating the hints takes a millisecond, so
    it is done once."""
    return {name: None if _is_plain(hint) else hint for name, hint in _hints(kind).items()}


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def _is_plain(kind: Any) -> bool:
    """Whether a value of this type is the same in JSON."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return all(_is_plain(option) for option in typing.get_args(kind))
    return kind in (str, int, bool, Any, type(None))
