"""Text files beside pictures that list them, a path a line: with a class (Caffe's `train.txt`) or several columns
(CelebA's `list_attr_celeba.txt`), or without, to say which split each belongs to (Food-101's `meta/train.txt`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from core.data import encodings, several_files
from core.data.archive import UNREADABLE
from core.data.pictures.source import PictureSource
from core.data.readers import by_folder, by_name
from core.data.readers.table import RowBuilder, Table, text_array
from core.data.roles import is_number
from core.data.source import Source, suffix
from core.data.splits import NAMES

_MOST = 20
_MOST_BESIDE = 0.1
"""Text files, all or beside each picture: where there are more, they belong to pictures one by one."""
_LEAST = 3
"""Lines of a list."""
_ENOUGH = 0.9
"""Share of lines that name a picture, and of pictures that lists of splits name."""
_BOX = 5
"""A path and the corners of a box."""
_LOOKED_AT = 5
"""First lines, of which one names a picture."""


def tables(source: Source, archive: PictureSource, *, max_rows: int) -> dict[str, Table]:
    """Name of each list -> its rows, as the columns image and, where lines go on after the path, label."""
    files = [name for name in source.files if suffix(name) == ".txt"]
    few = len(files) <= max(_MOST, _MOST_BESIDE * len(archive.names))
    found = {name: _read(name, source, archive, max_rows) for name in files} if few else {}
    said = by_name.classes(archive.names)
    return {name: _named(table, archive, said) for name, table in found.items() if table is not None}


def _named(table: Table, archive: PictureSource, said: Mapping[str, str]) -> Table:
    """A list whose classes are numbers, with the names that those of the pictures give them, one each."""
    cells = table.data["label"].to_pylist() if "label" in table.columns else []
    if not said or not cells or not all(cell and is_number(cell) for cell in cells):
        return table
    pairs = {(cell, said.get(archive.resolve(path) or "", ""))
             for cell, path in zip(cells, table.data["image"].to_pylist(), strict=True)}
    names = dict(pairs)
    if not len(pairs) == len(names) == len(set(names.values())) or "" in names.values():
        return table
    import pyarrow as pa

    column = pa.chunked_array([text_array([names[cell] for cell in cells])])
    return replace(table, data=table.data.set_column(table.data.column_names.index("label"), "label", column))


def _read(name: str, source: Source, archive: PictureSource, max_rows: int) -> Table | None:
    lines = [line for line in _lines(source, name) if line and not line.startswith("#")]
    begin = [part for line in lines[:_LOOKED_AT] for part in (line, line.split()[0], _parts(line)[0])]
    if len(lines) < _LEAST or not any(map(archive.resolve, begin)):
        return None
    if (table := _of_columns(name, lines, archive, max_rows)) is not None:
        return table
    whole = _share(lines, archive) >= _ENOUGH
    split = _parts if _share([_parts(line)[0] for line in lines], archive) >= _ENOUGH else _first_parts
    if not whole and _share([split(line)[0] for line in lines], archive) < _ENOUGH:
        return None
    builder = RowBuilder(["image"] if whole else ["image", "label"], max_rows=max_rows, name=name)
    for line in lines:
        builder.add([line] if whole else split(line))
    return builder.table(format="a path a line")


def _lines(source: Source, name: str) -> list[str]:
    """The stripped lines of a text file; none where it is damaged."""
    try:
        data = source.read(name)
    except UNREADABLE:
        return []
    encoding = encodings.of_bytes(data)
    text = data.decode(encoding.name, errors=encoding.errors).removeprefix("\ufeff")
    return [line.strip() for line in text.splitlines()]


def _of_columns(name: str, lines: Sequence[str], archive: PictureSource, max_rows: int) -> Table | None:
    """Lines of a path and two or more words each, below their names where these are written (CelebA), else with a class
    behind the path (tiny ImageNet's `val_annotations.txt`). None for others, and for boxes: paths with four numbers."""
    tabs = all("\t" in line for line in lines[-_LEAST:])
    rows = [[cell.strip() for cell in line.split("\t")] if tabs else line.split() for line in lines]
    width = len(rows[-1])
    start = next((place for place, row in enumerate(rows[:3]) if len(row) == width and archive.resolve(row[0])), None)
    if width < 3 or start is None or any(len(row) != width for row in rows[start:]):
        return None
    below = rows[start:]
    if _share([row[0] for row in below], archive) < _ENOUGH:
        return None
    names = next((["image", *row[-(width - 1):]] for row in rows[:start] if len(row) in (width - 1, width)), None)
    if names is None or len(set(names)) < width:
        if width == _BOX and all(is_number(cell) for row in below for cell in row[1:]):
            return None
        names = ["image", "label", *(f"column {place}" for place in range(3, width + 1))]
    builder = RowBuilder(names, max_rows=max_rows, name=name)
    for row in below:
        builder.add(row)
    return builder.table(format="a path a line")


def _parts(line: str) -> tuple[str, str | None]:
    """The path of a line, which may hold blanks, and what stands after the last blank, comma or semicolon."""
    at = max(line.rfind(mark) for mark in " \t,;")
    return (line[:at].rstrip(" \t,;"), line[at + 1:]) if at > 0 else (line, None)


def _first_parts(line: str) -> tuple[str, str | None]:
    """The path of a line, which ends at its first blank, and the class behind it, which may hold some; no path where
    that is numbers, as those of a box."""
    path, _, label = line.partition(" ")
    return ("", None) if all(map(is_number, label.split())) else (path, label.strip())


def _share(names: Sequence[str], archive: PictureSource) -> float:
    return sum(archive.resolve(name) is not None for name in names) / len(names)


def labels(lists: Mapping[str, Table], archive: PictureSource, classes: Collection[str]) -> dict[str, str]:
    """picture -> the class that lists say, of those lists that say nothing but these classes."""
    found: dict[str, str] = {}
    for table in lists.values():
        said = table.data["label"].to_pylist() if "label" in table.columns else []
        if said and set(said) <= set(classes):
            places = map(archive.resolve, table.data["image"].to_pylist())
            found |= {path: label for path, label in zip(places, said, strict=True) if path}
    return found


def splits(lists: Mapping[str, Table], archive: PictureSource) -> tuple[dict[str, str], frozenset[str]]:
    """(picture -> the split that the lists named after splits say, those lists).

    Both are empty where no list is named train, lists contradict each other, or pictures are in none of them.
    """
    named = {name: split for name in lists if (split := several_files.split_of(name))}
    said: dict[str, str] = {}
    for name, split in named.items():
        for path in filter(None, map(archive.resolve, lists[name].data["image"].to_pylist())):
            if said.setdefault(path, split) != split:
                return {}, frozenset()
    if not {"train"} < set(said.values()) or len(said) < _ENOUGH * len(archive.names):
        return {}, frozenset()
    return said, frozenset(named)


def numbered_splits(source: Source, archive: PictureSource) -> tuple[dict[str, str], frozenset[str]]:
    """As `splits`, where one list numbers the pictures and another says of each number whether it is for training
    (`images.txt` and `train_test_split.txt` of CUB-200-2011, Wah et al. 2011)."""
    flags = [name for name in source.files if name.rpartition("/")[2].lower() == "train_test_split.txt"]
    numbers = [name for name in source.files if name.rpartition("/")[2].lower() == "images.txt"]
    if len(flags) != 1 or len(numbers) != 1:
        return {}, frozenset()
    paths = {number: archive.resolve(path) for number, path in _pairs(source, numbers[0])}
    meant = {"1": NAMES[0], "0": NAMES[2]}
    said = {path: meant[flag] for number, flag in _pairs(source, flags[0])
            if flag in meant and (path := paths.get(number))}
    if len(set(said.values())) < 2 or len(said) < _ENOUGH * len(archive.names):
        return {}, frozenset()
    return said, frozenset((*flags, *numbers))


def _pairs(source: Source, name: str) -> Iterator[tuple[str, str]]:
    for line in _lines(source, name):
        number, _, rest = line.partition(" ")
        yield number, rest.strip()


def with_splits(table: Table, said: Mapping[str, str]) -> Table:
    """A table of pictures with the splits that lists say in another column."""
    import pyarrow as pa

    cells = text_array([said.get(path) for path in table.data["image"].to_pylist()])
    return replace(table, data=table.data.append_column(by_folder.SPLIT, pa.chunked_array([cells])),
                   format=f"{table.format}, splits by lists")
