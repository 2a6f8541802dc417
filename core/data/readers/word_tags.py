"""Files with a tag for each word (CoNLL-2003, CoNLL-U and their relatives): known, so that they are refused by name
rather than read as something else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from core.data.readers.table import Table
from core.errors import DataError

_NAMED = re.compile(r"O|[BIESLU]-[A-Za-z][\w-]*")
_UNIVERSAL = re.compile(r"\d+(-\d+|\.\d+)?\t[^\t]+(\t[^\t]*){8}")
_LINES, _LEAST, _NEARLY_ALL = 400, 6, 0.9


def refuse(path: Path, start: bytes) -> None:
    """Raise DataError where a file that begins like this has a word a line with its tags, and blank lines between
    sentences; also for one that is called so."""
    named = path.suffix.lower().endswith(("conll", "conllu"))
    if not named and b"\n\n" not in start.replace(b"\r", b""):
        return
    lines = start.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").split("\n")[:_LINES]
    rows = [line for line in lines[:-1] if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    universal = _are_universal(rows)
    if named or universal or _are_tagged(rows):
        words = ", ".join(line.split()[min(int(universal), len(line.split()) - 1)] for line in rows[:4])[:60]
        raise _refusal(path.name, f"It is a word a line with blank lines between sentences{words and f' ({words} …)'}.")


def refuse_table(table: Table) -> None:
    """Raise DataError where a column of a table holds the tags of single words."""
    for name in table.columns:
        cells = [cell.strip() for cell in table.data.column(name).slice(0, _LINES).to_pylist() if cell]
        if len(cells) >= _LEAST and len(set(cells)) > 1 and _share(map(_is_tag, cells)) >= _NEARLY_ALL:
            raise _refusal(table.name, f"The column {name[:40]!r} says beginning, inside and outside of names "
                                       f"({', '.join(dict.fromkeys(cells))[:60]}).")


def _is_tag(cell: str) -> bool:
    return _NAMED.fullmatch(cell) is not None


def _refusal(name: str, why: str) -> DataError:
    return DataError(f"{name} holds a tag for each word (CoNLL), not a class for each text.",
                     why=f"{why} Thaw learns one class a text, or texts as they are.",
                     remedy="For a language model save the words as sentences, one a line, in a .txt file; to "
                            "classify, make a table with one sentence and one class a row.")


def _are_tagged(rows: list[str]) -> bool:
    """Whether all rows have equally many cells, the last or the first of which says beginning, inside or outside of a
    name."""
    cells = [line.split() for line in rows]
    if len(cells) < _LEAST or len(cells[0]) < 2 or _share(len(row) == len(cells[0]) for row in cells) < _NEARLY_ALL:
        return False
    return any(len({row[at] for row in cells}) > 1 and _share(_is_tag(row[at]) for row in cells) >= _NEARLY_ALL
               for at in (-1, 0))


def _are_universal(rows: list[str]) -> bool:
    """Whether rows are words of Universal Dependencies: ten cells, the first counting the words of a sentence."""
    starts = sum(line.startswith("1\t") for line in rows)
    return len(rows) >= _LEAST and starts > 1 and _share(
        _UNIVERSAL.fullmatch(line) is not None for line in rows) >= _NEARLY_ALL


def _share(found: Iterable[bool]) -> float:
    seen = list(found)
    return sum(seen) / max(1, len(seen))
