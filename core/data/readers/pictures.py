"""Pictures: an archive or folder with one folder a class, or with a table that names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.data import roles
from core.data.layout import arrange
from core.data.pictures.decode import SHOWN
from core.data.pictures.source import PictureSource, is_picture
from core.data.readers import boxes, by_folder, by_name, picture_lists
from core.data.readers.table import Table
from core.data.report import INFO, WARNING, Finding, LeftOut, several
from core.data.source import Source, suffix
from core.data.splits import ALIASES, NAMES, folder_meanings
from core.domain.dataset import Role
from core.errors import DataError

TREE = ("my-pictures.zip\n  cat/\n    1.jpg\n    2.jpg\n  dog/\n    1.jpg\nor, with the splits given:\n"
        "  train/cat/1.jpg  train/dog/1.jpg  test/cat/2.jpg …\nor with a table:\n  labels.csv   (columns: file, "
        "label)\n  1.jpg\n  2.jpg")
"""The layouts that are understood, as shown in messages."""

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
_SAMPLE = 500
_TABLES = 20
"""Tables of an archive that are looked into."""
_NAMED = 0.25
"""Share of all pictures that cells without an ending must name, to count where folders may tell the classes."""

ReadTable = Callable[[str], Table]
"""Reads the table with this name inside the archive."""


def read(source: Source, *, max_rows: int, read_table: ReadTable, tables: Sequence[str]) -> Table:
    """The pictures of a source as a table.

    tables: those files that are tables. When one of them has a column that names pictures (and folders give no class,
    or it has a label), its rows are the rows; tables of that kind beside each split's pictures are joined. Otherwise
    the folders are the classes: columns `image`, `label` and, where folders tell it, `split`; tables that name no
    pictures are counted as left out. Text files that list pictures tell the classes where folders do not, else the
    splits (`picture_lists`). Where folders tell no two classes, the names of the files may (`by_name`). Raises
    DataError, drawing the expected trees, when there is none of these, and for annotations of another task.
    """
    pictures = [name for name in source.files if is_picture(name)]
    archive = PictureSource(pictures, source.read, keep=source.keep)
    layout = arrange(pictures)
    places = [] if layout is None else [layout.place(name) for name in pictures]
    classes = {place.label for place in places if not isinstance(place, str)}
    lists = picture_lists.tables(source, archive, max_rows=max_rows)
    telling = [name for name, listed in lists.items() if len(classes) < 2 and len(listed.columns) > 1]
    found, problems, others = _tables(tables, archive, read_table, least=0.0 if layout is None else _NAMED)
    found += _tables(telling, archive, lists.__getitem__, least=0.0)[0]
    if len(classes) < 2 and all(_is_submission(item.file) for item in found) and (said := by_name.classes(pictures)):
        found = []                                                   # made-up classes, of pictures that have none
    if chosen := [item for item in found if item.labelled or len(classes) < 2]:
        return _by_table(chosen, archive, source, max_rows=max_rows)
    folders = None
    if layout is not None:
        said, used = ({}, frozenset[str]()) if layout.splits else picture_lists.splits(lists, archive)
        if not said and not layout.splits:
            said, used = picture_lists.numbered_splits(source, archive)
        table = by_folder.table(
            source, layout, [name for name in source.files if name not in used], wanted=is_picture,
            why_not=_not_a_picture, row=lambda name, place: [name, place.label], columns=("image", "label"),
            max_rows=max_rows, format="Pictures", thing="picture",
            listed=picture_lists.labels(lists, archive, classes) if len(classes) > 1 else {})
        table = picture_lists.with_splits(table, said) if said else table
        folders = replace(table, pictures=archive, image_column="image")
    if len(classes) < 2 and (marked := boxes.kind(source)):
        raise boxes.refusal(source, marked)
    if len(classes) < 2 and not problems and (said := by_name.classes(pictures)):
        return replace(by_name.table(source, pictures, said, max_rows=max_rows), pictures=archive)
    if folders is not None:
        return folders
    if len(tables) == 1 and problems:
        raise problems[0]
    if len(tables) == 1 and others:                                  # a table of texts, with some pictures beside it
        return replace(others[0], name=source.name, findings=(*others[0].findings, _unused(pictures)))
    raise _layout_error(source, pictures)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Named:
    """A table that names pictures."""

    file: str
    table: Table
    column: str
    paths: list[str | None]
    """Picture of each row (n_rows,); None where there is none."""
    labelled: bool
    """Whether another column of it looks like a label."""


def _tables(names: Sequence[str], archive: PictureSource, read_table: ReadTable, *,
            least: float) -> tuple[list[_Named], list[DataError], list[Table]]:
    """(tables that name pictures, errors of unreadable ones, the others). least: see `image_column`."""
    found, problems, others = [], [], []
    for name in sorted(names, key=lambda name: (name.count("/"), name))[:_TABLES]:
        try:
            table = read_table(name)
        except DataError as error:
            problems.append(error)
            continue
        folder = _folder_of_names(name, archive)
        if column := image_column(table, archive, folder=folder, least=least):
            paths = [archive.resolve(cell, folder=folder) for cell in table.data.column(column).to_pylist()]
            proposed = roles.propose(replace(table, pictures=archive, image_column=column))
            found.append(_Named(file=name, table=table, column=column, paths=paths,
                                labelled=any(proposal.role is Role.LABEL for proposal in proposed.values())))
        else:
            others.append(table)
    return found, problems, others


def _folder_of_names(file: str, archive: PictureSource) -> str:
    """The folder that names in a table are beside: `train` for `train.csv`, `train_labels.csv` and `labels.csv`, where
    there is one, else the table's own."""
    stem = re.sub(r"[\s_-]*(labels?|metadata|annotations?)$", "", file.rpartition(".")[0], flags=re.IGNORECASE)
    if stem and any(name.startswith(f"{stem}/") for name in archive.names):
        return stem
    own = _parent(file)
    parents = {_parent(name) for name in archive.names}
    inside = {parent.rpartition("/")[2]: parent for parent in parents if _parent(parent) == own and parent}
    train = [inside[name] for name, split in folder_meanings(inside).items() if split == NAMES[0]]
    return train[0] if len(train) == 1 and own not in parents else own


def image_column(table: Table, archive: PictureSource, *, folder: str = "", least: float = 0.0) -> str | None:
    """The column most of whose cells name a picture: of several the one that names most different ones.

    Names without an ending (ids) count where nearly every row names another picture, and together the share `least` of
    all pictures: class numbers would fit some by chance.
    """
    best, most = None, (0.5, 0)
    for name in table.columns:
        cells = [cell for cell in table.data.column(name).slice(0, _SAMPLE).to_pylist() if cell and cell.strip()]
        named = [picture for cell in cells if (picture := archive.resolve(cell, folder=folder)) is not None]
        share, different = len(named) / max(1, len(cells)), len(set(named))
        bare = sum(not is_picture(cell) for cell in cells) > len(cells) / 2
        if bare and (different < 0.9 * len(named) or different < min(least * len(archive.names), 0.9 * _SAMPLE)):
            continue
        if share > 0.5 and (share, different) > most:
            best, most = name, (share, different)
    return best


def _by_table(found: list[_Named], archive: PictureSource, source: Source, *, max_rows: int) -> Table:
    """The rows of one table, or of those beside the pictures of each split."""
    found = _finest(found)
    splits = _split_tables(found)
    chosen = found if splits else [max(found, key=_worth)]
    table = _joined(chosen, splits, max_rows=max_rows, name=source.name) if splits else _with_paths(chosen[0])
    used = {path for item in chosen for path in item.paths if path}
    findings = list(table.findings)
    if unused := sorted(set(archive.names) - used):
        findings.append(_unused(unused))
    if rest := sorted(set(source.files) - set(archive.names) - {item.file for item in chosen}):
        findings.append(unused_files(rest))
    return replace(table, name=source.name, pictures=archive, image_column=chosen[0].column, findings=tuple(findings),
                   format=f"Pictures with a table ({chosen[0].table.format})")


def _finest(found: list[_Named]) -> list[_Named]:
    """Of several lists of the same pictures, one a split each, those that tell the most classes apart
    (`images_variant_train` rather than `images_family_train`); all tables where there are not several."""
    groups: dict[str, list[_Named]] = {}
    for item in found:
        words = re.split(r"[\W\d_]+", item.file.rpartition("/")[2].rpartition(".")[0].lower())
        groups.setdefault(" ".join(word for word in words if word not in ALIASES), []).append(item)
    whole = [group for group in groups.values() if _split_tables(group)]
    return max(whole, key=_n_classes) if len(whole) > 1 else found


def _n_classes(found: Sequence[_Named]) -> int:
    tables = [item.table for item in found if "label" in item.table.columns]
    return len({cell for table in tables for cell in table.data["label"].to_pylist()})


def _worth(item: _Named) -> tuple[bool, bool, int]:
    """What speaks for a table among several; a sample submission of a contest holds made-up labels."""
    return item.labelled, not _is_submission(item.file), len({path for path in item.paths if path})


def _is_submission(file: str) -> bool:
    return "submission" in file.casefold()


def _split_tables(found: Sequence[_Named]) -> dict[str, str] | None:
    """File of each table -> its split, where all have the same columns and their folders or names say it."""
    if len(found) < 2 or len({(item.table.columns, item.column) for item in found}) > 1:
        return None
    for part in (_parent, lambda file: file.rpartition("/")[2].rpartition(".")[0]):
        names = {item.file: part(item.file).rpartition("/")[2] for item in found}
        meaning = folder_meanings(names.values())
        if set(names.values()) == set(meaning):
            return {file: meaning[name] for file, name in names.items()}
    return None


def _with_paths(item: _Named) -> Table:
    """A table whose cells that name pictures are their paths."""
    import pyarrow as pa

    column = item.table.data.column(item.column).to_pylist()
    paths = pa.array([path if path is not None else cell for path, cell in zip(item.paths, column, strict=True)],
                     type=pa.large_string())
    place = item.table.data.column_names.index(item.column)
    return replace(item.table, data=item.table.data.set_column(place, item.column, pa.chunked_array([paths])))


def _joined(found: Sequence[_Named], splits: dict[str, str], *, max_rows: int, name: str) -> Table:
    """Tables of several splits as one with a split column, rows numbered through."""
    import pyarrow as pa

    from core.data.readers.table import too_many_rows

    pieces, numbers, left_out, start = [], [], [], 0
    for item in found:
        table = _with_paths(item)
        said = pa.array([splits[item.file]] * len(table), type=pa.large_string())
        has = by_folder.SPLIT in table.columns
        pieces.append(table.data if has else table.data.append_column(by_folder.SPLIT, pa.chunked_array([said])))
        numbers.append(table.row_numbers + start)
        left_out += [LeftOut(row=out.row + start, reason=out.reason, file=out.file or item.file)
                     for out in table.left_out]
        start += table.rows_read
    if start > max_rows:
        raise too_many_rows(name, max_rows)
    findings = [finding for item in found for finding in item.table.findings]
    return replace(found[0].table, data=pa.concat_tables(pieces), row_numbers=np.concatenate(numbers), rows_read=start,
                   left_out=tuple(left_out), findings=tuple(findings))


def _unused(names: Sequence[str]) -> Finding:
    return Finding(code="unused-pictures", severity=WARNING, count=len(names), example=", ".join(names[:3])[:120],
                   message=several(len(names), "picture is", "pictures are") + " named by no row of the table.",
                   remedy="Add rows for them if they belong to the data; they are not used now.")


def unused_files(names: Sequence[str]) -> Finding:
    """Files of an archive that are beside the rows and play no part."""
    return Finding(code="unused-files", severity=INFO, count=len(names), example=", ".join(names[:3])[:120],
                   message=several(len(names), "other file of the archive is", "other files of the archive are")
                           + " not used.",
                   remedy="Nothing to do, unless one of them holds rows or labels: then pack it alone.")


def _layout_error(source: Source, pictures: Sequence[str]) -> DataError:
    """The refusal of files that are arranged in no way Thaw understands, with the expected trees drawn."""
    shown = list(_shown_tree(source.files))
    return DataError(f"{source.name} has no folder of pictures for each class.",
                     why=f"It has {len(pictures):,} pictures, but Thaw cannot tell their classes. What it found:\n"
                         + "\n".join(shown),
                     remedy=f"Arrange them like this, one folder a class:\n{TREE}")


def _shown_tree(files: Sequence[str]) -> Iterator[str]:
    for name in files[:6]:
        yield f"  {name[:100]}"
    if len(files) > 6:
        yield f"  … and {len(files) - 6:,} more"


def _not_a_picture(name: str) -> str:
    kind = suffix(name)
    if kind == ".svg":
        return "it is an SVG drawing; Thaw reads pictures made of pixels"
    if kind in ARCHIVES:
        return "it is an archive inside the archive, which is not opened"
    return f"it is no picture that Thaw reads ({kind or 'no ending'}): {SHOWN} are"


def _parent(name: str) -> str:
    return name.rpartition("/")[0]
