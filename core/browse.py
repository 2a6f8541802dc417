"""Looking at data: the first rows of a file with proposed roles, and rows of an ingested dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.domain.dataset import Dataset, Split
from core.errors import DataError
from core.settings import Settings

PREVIEW_ROWS = 10
MOST_ROWS = 1000
CELL_CHARACTERS = 2000
"""Longer cells are cut for display, with an ellipsis."""


@dataclass(frozen=True, kw_only=True)
class TablePreview:
    """A file before it is imported."""

    columns: tuple[str, ...]
    roles: dict[str, str]
    """column -> proposed role (`Role` value)."""
    evidence: dict[str, str]
    """column -> why that role was proposed."""
    rows: list[dict[str, Any]]
    """The first rows, cells cut for display."""
    rows_read: int = 0
    format: str = ""
    """What it was read as, e.g. `CSV, separated by comma, utf-8`."""


def preview(path: Path, *, settings: Settings) -> TablePreview:
    """Read a file and propose a role a column. Raises DataError in three parts when it cannot be read."""
    from core.data import roles, tables

    table = tables.read(path, settings=settings)
    proposed = roles.propose(table)
    first = table.data.slice(0, PREVIEW_ROWS).to_pylist()
    return TablePreview(columns=table.columns, roles={name: str(proposal.role) for name, proposal in proposed.items()},
                        evidence={name: proposal.evidence for name, proposal in proposed.items()},
                        rows=[{name: _cut(cell) for name, cell in row.items()} for row in first],
                        rows_read=table.rows_read, format=table.format)


def sample_rows(dataset: Dataset, *, settings: Settings, workspace: str, n: int = 5, split: str = Split.TRAIN, label: str | None = None,
                search: str = "") -> list[dict[str, Any]]:
    """The first n rows (at most 1000) of a split, of one class, containing a text (letter case ignored).

    Each row: `row_id`, `text` or `image`, `label` (class name).
    """
    import pyarrow.compute as compute

    from core.data import library

    table = library.read_rows(dataset, settings=settings, workspace=workspace, split=str(split))
    if label is not None and label not in dataset.classes:
        raise DataError(f"The dataset has no class {label!r}.", why=f"Its classes: {', '.join(dataset.classes[:20])}.",
                        remedy="Choose one of these.")
    content = "text" if "text" in table.column_names else "image"
    if label is not None:
        table = table.filter(compute.equal(table["label"], dataset.classes.index(label)))
    if search:
        table = table.filter(compute.match_substring(table[content], search, ignore_case=True))
    found = table.slice(0, max(0, min(n, MOST_ROWS))).select(["row_id", content, "label"]).to_pylist()
    return [{**row, content: _cut(row[content]), "label": dataset.classes[row["label"]]} for row in found]


def _cut(cell: Any) -> Any:
    return f"{cell[:CELL_CHARACTERS]}…" if isinstance(cell, str) and len(cell) > CELL_CHARACTERS else cell
