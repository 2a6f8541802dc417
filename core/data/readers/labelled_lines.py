"""Lines that carry their class: fastText's `__label__sport the match ended late` (Joulin et al. 2017,
https://fasttext.cc/docs), TREC's `HUM:ind Who wrote it ?` (Li and Roth 2002), the Financial PhraseBank's
`Profit rose .@positive` (Malo et al. 2014) and the Sentiment Treebank's `(3 (2 A) (3 (4 fine) (2 film)))` (Socher et
al. 2013)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from core.data import encodings
from core.data.readers.table import RowBuilder, Table

_ENOUGH = 0.9
_SAMPLE = 200
_LEAST = 6
"""Lines from which those without fastText's mark are looked at."""
_MOST = 30
"""Classes of those."""
_MARKED = re.compile(r"\s*((?:__label__[^\s,;|]+\s+)+)(?=\S)")
_BEFORE = re.compile(r"([A-Z]{2,12}):([A-Za-z]{2,16}) (?=\S)")
_TREE = re.compile(r"\((\d) \(\d .*\)\)")
_LEAF = re.compile(r"\(\d ([^()\s]+)\)")
_BEHIND = re.compile(r"\s*@\s*([^\W\d][\w -]{1,30})")

Cells = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to write a class into a line."""

    name: str
    columns: tuple[str, ...]
    cells: Callable[[str], Cells | None]
    """The cells of a stripped line; None where it carries no class."""
    few: bool = True
    """Whether any text could look so by chance, and classes must be few and come again."""


def _fasttext(line: str) -> Cells | None:
    found = _MARKED.match(line)
    if not found:
        return None
    return line[found.end():], "|".join(word.removeprefix("__label__") for word in found[1].split())


def _before(line: str) -> Cells | None:
    found = _BEFORE.match(line)
    return found and (line[found.end():], found[1], f"{found[1]}:{found[2]}")


def _behind(line: str) -> Cells | None:
    text, mark, label = line.rpartition("@")
    found = _BEHIND.fullmatch(mark + label) if mark and text.strip() else None
    return found and (text.strip(), found[1])


def _tree(line: str) -> Cells | None:
    found = _TREE.fullmatch(line)
    words = _LEAF.findall(line) if found else []
    return (" ".join(words).replace("-LRB-", "(").replace("-RRB-", ")"), found[1]) if found and words else None


_FORMS = (Form(name="Lines of fastText", columns=("text", "label"), cells=_fasttext, few=False),
          Form(name="A class and a colon before each text", columns=("text", "label", "finer label"), cells=_before),
          Form(name="A class behind each text", columns=("text", "label"), cells=_behind),
          Form(name="A tree of classes a line, that of the whole at its root", columns=("text", "label"), cells=_tree))


def form_of(path: Path) -> Form | None:
    """How the lines of a text file carry their class: the first, and nearly all that follow; None where they do not."""
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors) as file:
        lines = list(islice((line.removeprefix("\ufeff").strip() for line in file if line.strip()), _SAMPLE))
    return next((form for form in _FORMS if lines and _fits(form, lines)), None)


def _fits(form: Form, lines: Sequence[str]) -> bool:
    cells = [form.cells(line) for line in lines]
    told = [found for found in cells if found]
    if cells[0] is None or len(told) < _ENOUGH * len(lines):
        return False
    last = len({found[-1] for found in told})
    return not form.few or (len(lines) >= _LEAST and len({found[1] for found in told}) > 1
                            and last <= min(_MOST * (len(form.columns) - 1), len(lines) / 2))


def read(path: Path, form: Form, *, max_rows: int) -> Table:
    """One row a line, as the columns text and label. Several labels of a line are one cell, `sport|money`; a line
    without one has an empty cell."""
    encoding = encodings.detect(path)
    builder = RowBuilder(form.columns, max_rows=max_rows, name=path.name)
    with path.open(encoding=encoding.name, errors=encoding.errors) as file:
        for line in file:
            if line := line.removeprefix("\ufeff").strip():
                builder.add(form.cells(line) or (line, *[None] * (len(form.columns) - 1)))
    return builder.table(format=f"{form.name}, {encoding.name}")
