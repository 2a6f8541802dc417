"""Two text files that answer each other line by line: translations (`train.de` and `train.en`), or `train.source` and
`train.target`."""

from __future__ import annotations

from collections.abc import Sequence

from core.data.archive import UNREADABLE
from core.data.languages import CODES
from core.data.readers import by_folder, folders
from core.data.readers.table import RowBuilder, Table
from core.data.report import INFO, Finding
from core.data.several_files import split_of
from core.data.source import Source, suffix
from core.errors import DataError

_SIDES = (("source", "target"), ("src", "tgt"), ("src", "trg"))
ENDINGS = frozenset(f".{ending}" for ending in (*CODES, *(side for sides in _SIDES for side in sides)))
_LEAST_LINES = 2


def read(source: Source, *, max_rows: int) -> Table | None:
    """One row a line, a column a side, and split where the names say it; None where there are no such pairs. Raises
    DataError where the files of a pair are not equally long."""
    pairs = _pairs(source.files)
    if not pairs or 2 * len(pairs) < len(source.files) / 2:
        return None
    sides = [suffix(name)[1:] for name in pairs[0]]
    splits = {pair: split_of(pair[0]) for pair in pairs}
    split = "train" in splits.values() and len(set(splits.values())) > 1 and all(splits.values())
    builder = RowBuilder([*sides, *([by_folder.SPLIT] if split else [])], max_rows=max_rows, name=source.name)
    for pair in pairs:
        one, other = (_lines(source, name) for name in pair)
        if len(one) != len(other) or len(one) < _LEAST_LINES:
            raise DataError(f"{source.name} has texts that do not belong together.",
                            why=f"{pair[0][:60]} has {len(one):,} lines and {pair[1][:60]} has {len(other):,}; each "
                                "line needs its counterpart in the same line.",
                            remedy="Mend or remove these two files, or make one table with a column for each.")
        for first, second in zip(one, other, strict=True):
            if first and second:
                builder.add([first, second, *([splits[pair]] if split else [])])
            else:
                builder.leave_out("one of its two lines is empty")
    read = {name for pair in pairs for name in pair}
    for name in source.files:
        if name not in read:
            builder.leave_out("it is of neither side", file=name)
    note = Finding(code="parallel-files", severity=INFO, count=len(pairs), example=" and ".join(pairs[0])[:120],
                   message=f"Files that end with .{sides[0]} and .{sides[1]} were read together, line by line.",
                   remedy="Nothing to do if these belong together; the other direction can be chosen by the roles of "
                          "the columns.")
    return builder.table(format=f"Text files, .{sides[0]} and .{sides[1]}", findings=[note])


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of files with the same name and the same two endings; none where one has no counterpart."""
    found: dict[str, list[str]] = {}
    for name in names:
        if suffix(name) in ENDINGS:
            found.setdefault(name[: -len(suffix(name))], []).append(name)
    kinds = {frozenset(suffix(name)[1:] for name in pair) for pair in found.values()}
    if len(kinds) != 1 or any(len(pair) != 2 for pair in found.values()):
        return []
    ends = kinds.pop()
    order = next((sides for sides in _SIDES if ends == set(sides)), None)
    if order is None and not ends <= CODES:
        return []
    pairs = []
    for stem, pair in sorted(found.items()):
        first, second = order or _direction(stem, sorted(ends))
        pairs.append((next(name for name in pair if suffix(name)[1:] == first),
                      next(name for name in pair if suffix(name)[1:] == second)))
    rank = ("train", "validation", "test", "shift", "")
    directions = {tuple(suffix(name) for name in pair) for pair in pairs}
    return sorted(pairs, key=lambda pair: rank.index(split_of(pair[0]))) if len(directions) == 1 else []


def _direction(stem: str, codes: Sequence[str]) -> tuple[str, str]:
    """From which language to which: as the name says (`europarl.en-de`), else in alphabetical order."""
    one, other = codes
    return (other, one) if f"{other}-{one}" in stem.rpartition("/")[2].lower() else (one, other)


def _lines(source: Source, name: str) -> list[str]:
    try:
        text = folders.decode(source.read(name)).removeprefix("\ufeff")
    except UNREADABLE as error:
        raise DataError(f"{name[:80]} in {source.name} cannot be read.", why=f"It is damaged ({str(error)[:80]}).",
                        remedy="Download the archive again.") from error
    return [line.strip() for line in text.removesuffix("\n").split("\n")]
