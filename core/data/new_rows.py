"""Rows to predict: a new file read as the training data was, and what is left out, with the reason."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core import values
from core.data import contents, encodings, tables
from core.data import source as sources
from core.data.archive import UNREADABLE
from core.data.new_columns import text_table
from core.data.pictures.decode import CUT_OFF, FIRST_FRAME, SHOWN
from core.data.pictures.depth import describe
from core.data.pictures.source import PictureSource, is_picture
from core.data.readers import arrays, documents, folders, mails, parquet, pictures
from core.data.readers.table import Table
from core.data.report import LeftOut, several
from core.data.source import Source
from core.domain import codec
from core.domain.dataset import Content, Depth, RowSource, Task
from core.errors import DataError
from core.settings import Settings

BEFORE = Depth(whole=(0.0, 65535.0), real=(0.0, 255.0))
"""How pictures of more than 8 bits were read before the depth was kept with a dataset."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NewRows:
    """What a model is asked about, in the order of the file."""

    name: str
    """Of the file, for messages."""
    rows_read: int
    """Rows of the file: `len(content) + len(left_out)`."""
    row: tuple[int, ...]
    """(n_rows,) row numbers: 1 is the first row after the header, or the first file."""
    content: list[str]
    """(n_rows,) texts, or paths of pictures, brought to the form that training saw."""
    shown: list[str]
    """(n_rows,) the text, or the picture's name in the archive or folder."""
    key: str
    """What `shown` is: `text` or `file`."""
    ids: list[str | None] | None = None
    """(n_rows,) cells of the id column, where there is one."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know about how the file was read."""
    keep: Any = None
    """What must live as long as the rows: the folder of the pictures."""


def read(path: Path, *, source: RowSource | None, task: Task, text: str | None, settings: Settings) -> NewRows:
    """The rows of a file or folder for a run. source: where the run's own rows came from; None where that is not known
    any more.

    Texts come from the column that training used, by its name (other letter case is understood), joined in the same
    way; `text` names another one. Pictures may be a file, an archive or a folder; those of more than 8 bits are read
    with the depth of training. Raises DataError for a file of another kind, one without that column, or one that has
    nothing to predict.
    """
    tables.check_size(path, settings)
    opened = _source(path, settings)
    found = (_pictures if task.content is Content.PICTURE else _texts)(path, opened, source, text, settings)
    if found.content:
        return found
    if not found.rows_read:
        raise DataError(f"{found.name} has nothing to predict.", why="It has no rows.",
                        remedy="Choose a file with at least one row.")
    if found.rows_read == 1 and found.left_out[0].file == found.name:  # a single picture
        reason = found.left_out[0].reason.removeprefix("the picture cannot be used: ")
        raise DataError(f"The picture {found.name} cannot be used.", why=f"{reason[:1].upper()}{reason[1:]}.",
                        remedy="Save it again as PNG or JPEG, or choose another picture.")
    first = "; ".join(f"row {item.row}{f' ({item.file})' if item.file else ''}: {item.reason}"
                      for item in found.left_out[:3])
    raise DataError(f"No row of {found.name} can be predicted.", remedy="Mend these rows, or choose another file.",
                    why=f"{several(found.rows_read, 'row was', 'rows were')} read. {first[:1].upper()}{first[1:]}.")


def source_of(run_dir: Path, settings: Settings, workspace: str = "") -> RowSource | None:
    """Where the rows of a run came from: kept with it, or (a run of an earlier version) with its dataset, in the
    workspace that the folder lies in or the one named."""
    from core.data import library

    recipe, kept = values.recipe(run_dir), run_dir / "artifact" / "source.json"
    if kept.is_file():
        return codec.from_json(RowSource, values.document(kept))
    own = run_dir.parent.parent.name if run_dir.parent.name == "runs" else workspace
    for place in dict.fromkeys(filter(None, (own, workspace))):
        if (settings.home / "workspaces" / place).is_dir() and (
                dataset := library.find(recipe.dataset, settings=settings, workspace=place)):
            return dataset.row_source
    return None


def refuse_pictures(path: Path, settings: Settings) -> None:
    """Raises DataError where the file or folder holds pictures."""
    tables.check_size(path, settings)
    _refuse_pictures(path, _source(path, settings))


# -- what a path holds -------------------------------------------------------------------------------------------------


def _source(path: Path, settings: Settings) -> Source | None:
    """The files of a folder or archive, or a picture as the only one; None for a table or a text file."""
    if path.is_dir():
        found = sources.of_folder(path, name=path.name)
        if len(found.files) > settings.max_archive_files:
            raise DataError(f"{path.name} holds {len(found.files):,} files, more than the limit of "
                            f"{settings.max_archive_files:,}.",
                            remedy="Predict a part of it, or raise THAW_MAX_ARCHIVE_FILES and start again.")
        return found
    with path.open("rb") as file:
        head = file.read(16)
    if tables.is_packed(path, head):
        return sources.of_tar(path, settings=settings)
    if tables.foreign(head) == tables.PICTURE or (is_picture(path.name) and not tables.foreign(head)):
        return _alone(path)
    if (not head.startswith(b"PK\x03\x04")
            or tables.is_excel(path, (found := sources.of_zip(path, settings=settings)).files)):
        return None
    return found if found.files else None


def _alone(path: Path) -> Source:
    """A file as the only one of a folder."""
    return Source(name=path.name, files=(path.name,), read=lambda name: path.read_bytes(), local=lambda name: path)


# -- texts -------------------------------------------------------------------------------------------------------------


def _texts(path: Path, opened: Source | None, source: RowSource | None, text: str | None,
           settings: Settings) -> NewRows:
    _refuse_pictures(path, opened)
    as_files = source is None or source.by_folder
    if opened is None and as_files and path.suffix.lower() == mails.MAIL:
        opened = _alone(path)
    of_rows = opened is not None and not documents.prevail(opened.files)
    inside = [name for name in opened.files if tables.is_table(name)] if opened is not None and of_rows else []
    files = folders.texts_of(opened.files) if opened is not None and of_rows and not inside else []
    if opened is not None and files:
        rows = None if as_files and mails.prevail(opened.files) else _rows_in_files(path, settings)
        return _text_files(opened, files) if rows is None else text_rows(rows, source, text)
    if opened is not None and len(inside) == 1:
        table = dataclasses.replace(tables.read(opened.local(inside[0]), settings=settings), name=path.name)
    else:
        table = tables.read(path, settings=settings)
        if opened is None and len(table.columns) == 1:
            table = _with_blank_lines(table, path)
    return text_rows(table, source, text)


def _refuse_pictures(path: Path, opened: Source | None) -> None:
    as_arrays = opened is not None and arrays.prevail(opened.files)
    if opened is not None and (as_arrays or contents.mostly_pictures(opened.files)):
        one = len(opened.files) == 1 and not as_arrays
        raise DataError(f"{path.name} {'is a picture' if one else 'holds pictures'}, and this run reads texts.",
                        why="Its model was trained on texts: it takes words, not pixels.",
                        remedy="Give it a text or a table with texts, or use a run that was trained on pictures.")


def _with_blank_lines(table: Table, path: Path) -> Table:
    """A text file, or a delimited one of one column: a blank line is a row whose cell is empty, and counts as one.

    Readers skip blank lines, as spreadsheets do; here each row of the file gets an answer or a reason. Those at the end
    are no rows.
    """
    lines = table.format.startswith("Text,")
    if path.suffix.lower() not in (".csv", ".tsv", ".tab", ".txt") or not (lines or "-separated text" in table.format):
        return table
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline=None if lines else "") as file:
        try:
            filled = [bool(line.strip()) for line in file] if lines else [bool(record) for record in csv.reader(file)]
        except csv.Error:  # written otherwise than most: the reader's word counts
            return table
    while filled and not filled[-1]:
        filled.pop()
    places = np.flatnonzero(filled)
    header = len(places) - table.rows_read
    if header not in (0, 1) or all(filled):
        return table  # the reader sees other rows, or there is nothing to add
    start = int(places[0]) + 1 if header else 0
    numbers = places[header:] - start + 1                            # of the rows that the reader counted, among all
    blank = [LeftOut(row=place - start + 1, reason="the text is empty") for place in range(start, len(filled))
             if not filled[place]]
    moved = [dataclasses.replace(item, row=int(numbers[item.row - 1])) for item in table.left_out]
    return dataclasses.replace(table, row_numbers=numbers[table.row_numbers - 1],
                               rows_read=table.rows_read + len(blank),
                               left_out=tuple(sorted((*moved, *blank), key=lambda item: item.row)))


def text_rows(table: Table, source: RowSource | None, text: str | None) -> NewRows:
    """The texts of a table, joined as those of training."""
    from core.data.missing import is_missing

    found = text_table(table, source, text)
    empty = np.asarray(is_missing(found.text), dtype=bool)
    left_out = [*table.left_out,
                *(LeftOut(row=int(row), reason="the text is empty") for row in table.row_numbers[empty])]
    content = [cell for cell, gone in zip(found.text.to_pylist(), empty, strict=True) if not gone]
    ids = None if found.ids is None else [cell for cell, gone in zip(found.ids, empty, strict=True) if not gone]
    return NewRows(name=table.name, rows_read=table.rows_read, row=tuple(int(n) for n in table.row_numbers[~empty]),
                   content=content, shown=content, key="text",
                   ids=ids, left_out=tuple(sorted(left_out, key=lambda item: item.row)), notes=found.notes)


def _rows_in_files(path: Path, settings: Settings) -> Table | None:
    """The rows of text files that are tables or chats, or hold a class each; None where a file is a row."""
    try:
        table = tables.read(path, settings=settings)
    except DataError:
        return None
    rows = table.documents is None or not {"label", "speaker"}.isdisjoint(table.columns)
    return table if not table.by_folder and rows else None


def _text_files(opened: Source, files: Sequence[str]) -> NewRows:
    """A folder or archive of texts, one row a file."""
    names, content, rows, left_out = [], [], [], []
    texts = set(files)
    for number, name in enumerate(opened.files, start=1):
        if name not in texts:
            left_out.append(LeftOut(row=number, reason="it is not a .txt file", file=name))
            continue
        try:
            found = folders.text_of(name, opened.read(name))
        except UNREADABLE as error:
            left_out.append(LeftOut(row=number, reason=f"it cannot be read ({str(error)[:80]})", file=name))
            continue
        if not found.strip():
            left_out.append(LeftOut(row=number, reason="the text is empty", file=name))
        else:
            names.append(name)
            rows.append(number)
            content.append(found)
    return NewRows(name=opened.name, rows_read=len(opened.files), row=tuple(rows), content=content, shown=names,
                   key="file", left_out=tuple(left_out))


# -- pictures ----------------------------------------------------------------------------------------------------------


def _pictures(path: Path, opened: Source | None, source: RowSource | None, text: str | None,
              settings: Settings) -> NewRows:
    """The pictures that a table names, row by row, or all of them by name."""
    names = [name for name in opened.files if is_picture(name)] if opened is not None else []
    if opened is not None and len(opened.files) == 1 and not names and not (
            path.is_dir() or arrays.is_part(opened.files[0])):
        names = list(opened.files)                                   # a picture by its content, whatever its name
    if opened is None or (not names and any(map(arrays.is_part, opened.files))):
        name, archive, (numbers, cells, left_out) = path.name, *_in_a_column(path, settings, packed=opened is not None)
    elif names:
        name, archive = opened.name, PictureSource(names, opened.read, keep=opened.keep)
        table = None if names == list(opened.files) else _named(opened, archive, text, settings)
        numbers, cells, left_out = table or _all(opened, names)
    else:
        raise not_a_picture(path.name)
    depth = BEFORE if source is None or source.reading is None else source.reading.depth
    decoded, failed = archive.decode(cells, max_pixels=settings.max_pixels, depth=depth)
    left_out += [LeftOut(row=numbers[at], reason=reason, file=cells[at]) for at, reason in failed.items()]
    kept = [at for at in range(len(cells)) if at not in failed]
    return NewRows(name=name, rows_read=len(cells) + len(left_out) - len(failed),
                   row=tuple(numbers[at] for at in kept), content=[str(decoded.home / place) for place in decoded.path],
                   shown=[cells[at] for at in kept], key="file",
                   left_out=tuple(sorted(left_out, key=lambda item: item.row)), notes=_depth_notes(decoded, depth),
                   keep=archive)


def _in_a_column(path: Path, settings: Settings,
                 *, packed: bool) -> tuple[PictureSource, tuple[list[int], list[str], list[LeftOut]]]:
    """The pictures that are cells of a table, or arrays, row by row. Raises DataError for any other file."""
    table = tables.read(path, settings=settings) if packed or _is_table(path) else None
    if table is None or table.pictures is None:
        raise not_a_picture(path.name)
    cells = list(zip(table.row_numbers.tolist(), table.data.column(table.image_column).to_pylist(), strict=True))
    left_out = [LeftOut(row=number, reason="its cell holds no picture", file="") for number, cell in cells if not cell]
    kept = [(number, cell) for number, cell in cells if cell]
    return table.pictures, ([number for number, _ in kept], [cell for _, cell in kept], left_out)


def _is_table(path: Path) -> bool:
    with path.open("rb") as file:
        return parquet.is_columnar(file.read(16)) or tables.is_table(path.name) or arrays.is_part(path.name)


def _all(opened: Source, names: Sequence[str]) -> tuple[list[int], list[str], list[LeftOut]]:
    """Every file of a folder or archive is a row: (row numbers, pictures, files that are none)."""
    wanted = set(names)
    numbers = [number for number, name in enumerate(opened.files, start=1) if name in wanted]
    others = [LeftOut(row=number, reason=f"it is no picture that Thaw reads: {SHOWN} are", file=name)
              for number, name in enumerate(opened.files, start=1) if name not in wanted]
    links = [LeftOut(row=number, reason="it is a symbolic link, which is not followed", file=name)
             for number, name in enumerate(opened.links, start=len(opened.files) + 1)]
    return numbers, [name for name in opened.files if name in wanted], [*others, *links]


def _named(opened: Source, archive: PictureSource, column: str | None,
           settings: Settings) -> tuple[list[int], list[str], list[LeftOut]] | None:
    """The rows of a table that names the pictures, where the archive has one."""
    inside = [name for name in opened.files if tables.is_table(name)]
    if len(inside) != 1:
        return None
    table = tables.read(opened.local(inside[0]), settings=settings)
    folder = inside[0].rpartition("/")[0]
    column = column or pictures.image_column(table, archive, folder=folder)
    if column is None:
        return None
    if column not in table.columns:
        raise DataError(f"{table.name} has no column {column!r}.", why=f"Its columns are: {', '.join(table.columns)}.",
                        remedy="Name the column that holds the names of the pictures (on the command line with --text)."
                        )
    numbers, found, left_out = [], [], list(table.left_out)
    for number, cell in zip(table.row_numbers.tolist(), table.data.column(column).to_pylist(), strict=True):
        if name := archive.resolve(cell, folder=folder):
            numbers.append(number)
            found.append(name)
        else:
            left_out.append(LeftOut(row=number, reason="no picture beside the table has this name",
                                    file=str(cell or "")[:200]))
    return numbers, found, left_out


def not_a_picture(name: str) -> DataError:
    """The refusal of anything else by a run on pictures."""
    return DataError(f"This run looks at pictures, and {name[:80]!r} is none.",
                     why=f"It is no file in one of the formats {SHOWN}, and no archive or folder that holds some.",
                     remedy="Give it a picture, or a ZIP, a tar archive or a folder of pictures; for texts use a run "
                            "trained on texts.")


def _depth_notes(decoded: Any, depth: Depth) -> tuple[str, ...]:
    notes = []
    if moving := sum(FIRST_FRAME in changes for changes in decoded.changes):
        notes.append(several(moving, "picture has", "pictures have")
                     + " several frames or pages; the first was looked at.")
    if cut := sum(CUT_OFF in changes for changes in decoded.changes):
        notes.append(several(cut, "picture has", "pictures have")
                     + f" values outside of those that training saw ({describe(depth)}); "
                     "these were cut off.")
    if decoded.depth != depth:
        new = Depth(whole=None if depth.whole else decoded.depth.whole, real=None if depth.real else decoded.depth.real)
        notes.append(f"No picture of the training data was of this depth: {describe(new)} became black to white.")
    return tuple(notes)
