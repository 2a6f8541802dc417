"""Lines of fastText: `__label__sport the match ended late` (Joulin et al. 2017, https://fasttext.cc/docs)."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from core.data import encodings
from core.data.readers.table import RowBuilder, Table

_MARKED = re.compile(r"\s*((?:__label__[^\s,;|]+\s+)+)(?=\S)")
_ENOUGH = 0.9
_SAMPLE = 200


def is_fasttext(path: Path) -> bool:
    """Whether a text file's first line, and nearly all that follow, begin with a label of fastText and go on with a
    text."""
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors) as file:
        lines = list(islice((line.removeprefix("\ufeff") for line in file if line.strip()), _SAMPLE))
    marked = [bool(_MARKED.match(line)) for line in lines]
    return bool(marked) and marked[0] and sum(marked) >= _ENOUGH * len(marked)


def read(path: Path, *, max_rows: int) -> Table:
    """One row a line, as the columns text and label. Several labels of a line are one cell, `sport|money`; a line
    without one has an empty cell."""
    encoding = encodings.detect(path)
    builder = RowBuilder(["text", "label"], max_rows=max_rows, name=path.name)
    with path.open(encoding=encoding.name, errors=encoding.errors) as file:
        for line in file:
            line = line.removeprefix("\ufeff").strip()
            if not line:
                continue
            found = _MARKED.match(line)
            labels = [word.removeprefix("__label__") for word in found[1].split()] if found else []
            builder.add([line[found.end():] if found else line, "|".join(labels) or None])
    return builder.table(format=f"Lines of fastText, {encoding.name}")
