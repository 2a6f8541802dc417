"""JSON files as frozen values, parsed once for each version of the file; and files of a run that must be there."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TypeVar, cast

from core import files
from core.domain import codec
from core.domain.recipe import Recipe
from core.errors import DataError

T = TypeVar("T")
_RESTORE = "Restore it from a copy, or train the run again."


def read(path: Path, kind: type[T]) -> T | None:
    """The file as a value of that dataclass; None when it is missing or not of that kind. Raises NewerVersionError."""
    try:
        stamp = path.stat()
    except OSError:
        return None
    return cast("T | None", _parse(path, cast(Any, kind), (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)))


@functools.lru_cache(maxsize=512)
def _parse(path: Path, kind: Any, stamp: tuple[int, ...]) -> Any:
    """stamp: part of the key, so that a rewritten file is parsed anew."""
    try:
        return codec.read(kind, files.read_json(path))
    except (OSError, ValueError, RecursionError):
        return None


def document(path: Path) -> dict[str, Any]:
    """A JSON object that must be there. Raises DataError, naming the file, where it is missing or damaged."""
    try:
        found = files.read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read.", why=f"It is damaged ({str(error)[:120]}).",
                        remedy=_RESTORE) from error
    if not isinstance(found, dict):
        why = "It is missing." if found is None else "It holds no JSON object."
        raise DataError(f"{path} cannot be read.", why=why, remedy=_RESTORE)
    return found


def recipe(run_dir: Path) -> Recipe:
    """The recipe of a run's folder. Raises DataError, naming the file, where it is missing or damaged."""
    path = run_dir / "recipe.json"
    try:
        return Recipe.from_json(document(path))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{path} cannot be read.", why=f"It is no recipe ({str(error)[:120]}).",
                        remedy=_RESTORE) from error
