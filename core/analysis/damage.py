"""Files of a run that are there and cannot be read, one by one: a damaged file takes away only what is in it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.domain import codec, document_versions
from core.domain.dataset import RowSource
from core.domain.recipe import Recipe
from core.domain.run import Labels, Result
from core.errors import NewerVersionError

PREDICTIONS = "predictions-*.parquet"
_PARQUET = b"PAR1"


def of_run(folder: Path) -> dict[str, str]:
    """File below a run folder -> why it cannot be read; empty when all is well. Each version of a file is looked at
    once."""
    found = {}
    for name, check in _CHECKS.items():
        for path in sorted(folder.glob(name)):
            try:
                stamp = path.stat()
                why = _look(path, check, stamp.st_mtime_ns, stamp.st_size)
            except OSError as error:
                why = str(error.strerror or error)
            if why:
                found[str(path.relative_to(folder))] = why
    return found


@functools.lru_cache(maxsize=4096)
def _look(path: Path, check: Callable[[Path], None], modified_ns: int, size_bytes: int) -> str:
    """The time and the size of the file are part of the key."""
    try:
        check(path)
    except (ValueError, RecursionError, NewerVersionError) as error:
        return str(error)[:160] or type(error).__name__
    return ""


def _recipe(path: Path) -> None:
    codec.read(Recipe, _json(path))


def _result(path: Path) -> None:
    codec.read(Result, _json(path))


def _environment(path: Path) -> None:
    document_versions.forward(_json(path), now=1, what="environment")


def _source(path: Path) -> None:
    codec.read(RowSource, _json(path))


def _labels(path: Path) -> None:
    codec.read(Labels, _json(path))


def _json(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"it holds {type(data).__name__}, not named values")
    return data


def _table(path: Path) -> None:
    """Begin and end of a Parquet file (parquet.apache.org/docs/file-format): what was cut lacks the end."""
    with path.open("rb") as file:
        first = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        if first != _PARQUET or file.read(4) != _PARQUET:
            raise ValueError("it is no whole Parquet file")


_CHECKS: dict[str, Callable[[Path], None]] = {
    "recipe.json": _recipe, "result.json": _result, "artifact/labels.json": _labels, "environment.json": _environment,
    "artifact/source.json": _source,
    PREDICTIONS: _table}
