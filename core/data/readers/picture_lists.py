"""Text files beside pictures that list them, a path a line: with a class (Caffe's `train.txt`), or without, to say
which split each belongs to (Food-101's `meta/train.txt`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.data import encodings, several_files
from core.data.pictures.source import PictureSource
from core.data.readers import by_folder
from core.data.readers.table import RowBuilder, Table, text_array
from core.data.source import Source, suffix

_MOST = 20
"""More text files than that belong to pictures one by one."""
_LEAST = 3
"""Lines of a list."""
_ENOUGH = 0.9
"""Share of lines that name a picture, and of pictures that lists of splits name."""


def tables(source: Source, archive: PictureSource, *, max_rows: int) -> dict[str, Table]:
    """Name of each list -> its rows, as the columns image and, where lines go on after the path, label."""
    files = [name for name in source.files if suffix(name) == ".txt"]
    found = {name: _read(name, source, archive, max_rows) for name in files} if len(files) <= _MOST else {}
    return {name: table for name, table in found.items() if table is not None}


def _read(name: str, source: Source, archive: PictureSource, max_rows: int) -> Table | None:
    data = source.read(name)
    encoding = encodings.of_bytes(data)
    text = data.decode(encoding.name, errors=encoding.errors).removeprefix("\ufeff")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) < _LEAST:
        return None
    whole = _share(lines, archive) >= _ENOUGH
    if not whole and _share([_parts(line)[0] for line in lines], archive) < _ENOUGH:
        return None
    builder = RowBuilder(["image"] if whole else ["image", "label"], max_rows=max_rows, name=name)
    for line in lines:
        builder.add([line] if whole else _parts(line))
    return builder.table(format="a path a line")


def _parts(line: str) -> tuple[str, str | None]:
    """The path of a line, which may hold blanks, and what stands after the last blank, comma or semicolon."""
    at = max(line.rfind(mark) for mark in " \t,;")
    return (line[:at].rstrip(" \t,;"), line[at + 1:]) if at > 0 else (line, None)


def _share(names: Sequence[str], archive: PictureSource) -> float:
    return sum(archive.resolve(name) is not None for name in names) / len(names)


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


def with_splits(table: Table, said: Mapping[str, str]) -> Table:
    """A table of pictures with the splits that lists say in another column."""
    import pyarrow as pa

    cells = text_array([said.get(path) for path in table.data["image"].to_pylist()])
    return replace(table, data=table.data.append_column(by_folder.SPLIT, pa.chunked_array([cells])),
                   format=f"{table.format}, splits by lists")
