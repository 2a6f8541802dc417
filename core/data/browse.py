"""Looking at data: the first rows of a file with proposed roles, and rows of an ingested dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.data.archive import UNREADABLE
from core.data.conversations import readable
from core.domain.dataset import UNSAID, Content, Dataset, Shape, Split, Task
from core.errors import DataError
from core.settings import Settings

PREVIEW_ROWS = 10
MOST_ROWS = 1000
CELL_CHARACTERS = 2000
"""Longer cells are cut for display, with an ellipsis."""
SHOWN_COLUMNS = 30
"""Columns that a table on a page shows; cells of wider tables are cut shorter."""
_WIDE_CELL_CHARACTERS = 200
FEW_VALUES = 40
_VALUE_CHARACTERS = 80


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
    """Rows that were looked at: the whole file only where `complete`."""
    format: str = ""
    """What it was read as, e.g. `CSV, separated by comma, utf-8`."""
    complete: bool = True
    """False when only the beginning of a large file was looked at."""
    task: Task = UNSAID
    form: str = ""
    """What the rows look like for a language model (`core.data.forms.Form`); empty for rows with labels, and where
    nothing fits."""
    why: str = ""
    """What tells that."""
    values: dict[str, list[str]] = field(default_factory=dict)
    """Of columns with few different cells, such as classes and domains: these, sorted."""
    lines: bool = False
    """Whether the rows are the lines of plain text files, which may be read as one text each."""
    pictures: dict[str, bytes] = field(default_factory=dict)
    """Of picture sets: small PNGs of the first rows, by the cell of the image column."""

    def joined(self, roles: dict[str, str], template: str | None) -> list[str]:
        """The texts of the first rows as the import would join them from the columns that are text or second text.

        Raises DataError for a template that names no column.
        """
        from core.data.readers.table import RowBuilder
        from core.data.rows import joined_text

        builder = RowBuilder(self.columns, max_rows=len(self.rows), name="preview")
        for row in self.rows:
            builder.add([row.get(name) for name in self.columns])
        return [text or "" for text in joined_text(builder.table(format=self.format),
                                                   roles, template or None).to_pylist()]


def preview(path: Path, *, settings: Settings) -> TablePreview:
    """Look at the beginning of a file and propose a role a column. Raises DataError in three parts when it cannot be
    read.

    A large file is never loaded whole: text is cut after a megabyte, archives are listed.
    """
    from core.data import first_rows, roles, shapes

    found = first_rows.read(path, settings=settings)
    table = found.table
    form, why = None, ""
    try:
        chosen = shapes.choose(table)
        proposed, form, why = chosen.proposals, chosen.form, chosen.why
    except DataError:  # a person says what the columns are
        proposed = roles.propose(table)
    first = table.data.slice(0, PREVIEW_ROWS).to_pylist()
    chars = CELL_CHARACTERS if len(table.columns) <= SHOWN_COLUMNS else _WIDE_CELL_CHARACTERS
    return TablePreview(columns=table.columns, roles={name: str(proposal.role) for name, proposal in proposed.items()},
                        evidence={name: proposal.evidence for name, proposal in proposed.items()},
                        rows=[{name: _cut(cell, chars) for name, cell in row.items()} for row in first],
                        rows_read=table.rows_read, format=table.format, complete=found.complete,
                        form=str(form or ""), why=why, values=_values(table), lines=table.documents is not None,
                        task=Task.on(Content.TEXT if table.pictures is None else Content.PICTURE),
                        pictures=_small_pictures(table, first, settings))


def _values(table: Any) -> dict[str, list[str]]:
    import pyarrow.compute as pc

    found = {name: [cell for cell in pc.unique(table.data.column(name)).to_pylist() if cell]
             for name in table.columns[:SHOWN_COLUMNS] if name not in table.unusable}
    return {name: sorted(cells) for name, cells in found.items()
            if 2 <= len(cells) <= FEW_VALUES and max(map(len, cells)) <= _VALUE_CHARACTERS}


def _small_pictures(table: Any, rows: list[dict[str, Any]], settings: Settings) -> dict[str, bytes]:
    """Small PNGs of the pictures that these rows name; those that cannot be read are missing."""
    from core.data import images

    if table.pictures is None:
        return {}
    shown: dict[str, bytes] = {}
    for cell in (row[table.image_column] for row in rows):
        try:
            data = table.pictures.read(table.pictures.resolve(cell) or "")
        except (KeyError, *UNREADABLE):
            continue
        if small := images.preview(data, max_pixels=settings.max_pixels):
            shown[cell] = small
    return shown


def thumbnails(dataset: Dataset, images: Sequence[str], *, settings: Settings, workspace: str) -> dict[str, bytes]:
    """Small PNGs of a dataset's pictures, by `image` of `sample_rows`; unreadable ones are missing."""
    from core.data import images as pictures
    from core.data import library

    folder = library.folder(dataset, settings=settings, workspace=workspace).resolve()
    shown: dict[str, bytes] = {}
    for name in images[:MOST_ROWS]:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            continue
        if small := pictures.preview(path.read_bytes(), max_pixels=settings.max_pixels):
            shown[name] = small
    return shown


def sample_rows(dataset: Dataset, *, settings: Settings, workspace: str, n: int = 5, split: str = Split.TRAIN,
                label: str | None = None, search: str = "", ids: Sequence[int] | None = None,
                whole: bool = False) -> list[dict[str, Any]]:
    """The first n rows (at most 1000) of a split, of one class, containing a text (letter case ignored); or those with
    these row ids.

    Each row: `row_id`, `text`, or `image` (path below the dataset folder) with `file` (its own name, which is
    searched), and `label` (class name; empty where rows have none). Conversations are as people read them. whole: long
    texts are not cut.
    """
    import pyarrow as pa
    import pyarrow.compute as compute

    from core.data import library

    if label is not None and label not in dataset.classes:
        raise DataError(f"The dataset has no class {label!r}.", why=f"Its classes: {', '.join(dataset.classes[:20])}.",
                        remedy="Choose one of these.")
    wanted, found = max(0, min(n, MOST_ROWS)), list[dict[str, Any]]()
    # in parts: a page's process must stay small
    for table in library.scan(dataset, settings=settings, workspace=workspace):
        if len(found) >= wanted:
            break
        mask = (compute.equal(table["split"], str(split)) if ids is None
                else compute.is_in(table["row_id"], value_set=pa.array(ids, type=pa.int64())))
        if label is not None:
            mask = compute.and_(mask, compute.equal(table["label"], dataset.classes.index(label)))
        content = "text" if "text" in table.column_names else "image"
        named = "file" if "file" in table.column_names else content
        if search:
            mask = compute.and_(mask, compute.match_substring(_searched(table, named, dataset), search,
                                                              ignore_case=True))
        shown = table.select(list(dict.fromkeys(["row_id", content, named,
                                                 "label"]))).filter(mask).slice(0, wanted - len(found))
        rows = [{**row, content: readable(row[content])} if dataset.shape is Shape.CHAT else row
                for row in shown.to_pylist()]
        found += [{**row, content: row[content] if whole else _cut(row[content]),
                   "label": dataset.class_name(row["label"])} for row in rows]
    return found


def _searched(table: Any, column: str, dataset: Dataset) -> Any:
    """What a search looks at: conversations as people read them, not as their rows keep them."""
    import pyarrow as pa

    if dataset.shape is not Shape.CHAT:
        return table[column]
    return pa.array(map(readable, table[column].to_pylist()), pa.string())


@dataclass(frozen=True, kw_only=True)
class AugmentedRow:
    """One training picture, and what its first epochs would see of it: PNG files."""

    label: str
    before: bytes
    epochs: tuple[bytes, ...]


def augmented(dataset: Dataset, *, level: str, side: int, settings: Settings, workspace: str,
              n: int = 4) -> list[AugmentedRow]:
    """Up to n training pictures, of as many classes as there are, as `core.data.pictures.preview` bends them for the
    first three epochs.

    level: `light` or `strong`. side: pixels a side of what the base model sees. Raises DataError for a picture that
    cannot be read.
    """
    from core.data import library
    from core.data.pictures.preview import variants

    table = library.read_rows(dataset, settings=settings, workspace=workspace, columns=["image", "label", "split"])
    labels, splits = table["label"].to_pylist(), table["split"].to_pylist()
    train = [row for row, split in enumerate(splits) if split == Split.TRAIN]
    first = {labels[row]: row for row in reversed(train)}            # class -> its first training row
    chosen = [first[label] for label in sorted(first)][:n]
    chosen += [row for row in train if row not in chosen][: n - len(chosen)]
    folder = library.folder(dataset, settings=settings, workspace=workspace)
    found = []
    for row in chosen:
        shown = variants(folder / table["image"][row].as_py(), level=level, row=row, side=side)
        found.append(AugmentedRow(label=dataset.classes[labels[row]], before=shown.before, epochs=shown.epochs))
    return found


def _cut(cell: Any, chars: int = CELL_CHARACTERS) -> Any:
    return f"{cell[:chars]}…" if isinstance(cell, str) and len(cell) > chars else cell
