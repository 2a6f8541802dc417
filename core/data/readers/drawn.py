"""Tables drawn with bars and dashes: Markdown, and what database consoles print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile, islice
from pathlib import Path

from core.data import encodings
from core.data.readers.table import RowBuilder, Table, named_columns

_RULE = re.compile(r"\s*[|+]?\s*:?-{2,}:?\s*(?:[|+]\s*:?-{2,}:?\s*)*[|+]?\s*")
_BAR = re.compile(r"(?<!\\)\|")
_COUNT = re.compile(r"\s*\(?\d+ rows?( in set.*)?\)?\s*")
"""What PostgreSQL and MySQL print below a table."""


_SAMPLE = 200
_ENOUGH = 0.8
"""Share of lines that belong to the table."""


def is_drawn(path: Path) -> bool:
    """Whether the first line of a text file with bars has a line of dashes below it, with as many parts, and rows
    follow."""
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors) as file:
        filled = [line for line in islice(file, _SAMPLE) if line.strip()]
    lines = [line for line in filled if "|" in line or _RULE.fullmatch(line)]
    if len(lines) < _ENOUGH * len(filled):                           # a text with a table in it
        return False
    lines = lines[1:] if lines and _RULE.fullmatch(lines[0]) else lines              # MySQL's upper edge
    if len(lines) < 3 or not _RULE.fullmatch(lines[1]):
        return False
    width = len(_cells(lines[0]))
    return width > 1 and len(re.findall("-{2,}", lines[1])) == width == len(_cells(lines[2]))


def read(path: Path, *, max_rows: int) -> Table:
    """The rows below the line of dashes; `\\|` in a cell is a bar. Raises DataError where two columns have one name."""
    encoding = encodings.detect(path)
    lines = dropwhile(lambda line: "|" not in line,
                      _lines(path.read_text(encoding=encoding.name, errors=encoding.errors).removeprefix("\ufeff")))
    columns = named_columns(_cells(next(lines)), name=path.name)
    builder = RowBuilder(columns, max_rows=max_rows, name=path.name)
    for line in lines:
        cells = _cells(line)
        if len(cells) == len(columns):
            builder.add(list(cells))
        else:
            what = "cell" if len(cells) == 1 else "cells"
            builder.leave_out(f"it has {len(cells)} {what} where the first row has {len(columns)}")
    return builder.table(format=f"Table drawn with bars, {encoding.name}")


def _lines(text: str) -> Iterator[str]:
    """The lines that are neither blank nor drawing."""
    for line in text.splitlines():
        if line.strip() and not _RULE.fullmatch(line) and not _COUNT.fullmatch(line):
            yield line


def _cells(line: str) -> list[str]:
    """A line cut at its bars, those at its ends apart."""
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _BAR.split(line)]
