"""Text files that hold a class each, a text a line: `pos.txt` and `neg.txt`, also in folders of splits or named after
them (`train_pos.txt`)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.data.archive import UNREADABLE
from core.data.images import MAX_BYTES
from core.data.readers import by_folder, folders
from core.data.readers.table import RowBuilder, Table, text_array
from core.data.report import INFO, Finding
from core.data.roles import is_named, propose
from core.data.several_files import split_of
from core.data.source import HIDDEN, Source, suffix
from core.data.splits import ALIASES
from core.domain.dataset import Role

_MOST = 60
"""Files, those of all splits together."""
_LEAST_LINES = 10
_BLANK = 0.05
"""Share of blank lines, above which a file is one text in paragraphs."""
_WRAPPED = 0.6
"""Share of lines nearly as long as the longest, above which long lines are one text, broken at a margin."""
_LONG = 50
"""Characters from which lines may be broken at a margin."""


ENDINGS = (".pos", ".neg", ".positive", ".negative", ".neutral", ".objective", ".subjective", ".ham", ".spam")
"""Endings of names that are classes: `rt-polarity.pos` (Pang and Lee 2005), `subj.objective`."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    label: str
    split: str


def are_named(names: Sequence[str]) -> bool:
    """Whether files may be a class each, by their names."""
    return bool(_places(_texts(names)))


def tables(parts: Sequence[tuple[str, Table]]) -> list[tuple[str, Table]] | None:
    """Tables with the same columns (`Fake.csv`, `True.csv`) with their names as the column label; None where the names
    say no classes, or a column of theirs says one: it is named so, or has values that come in several of them."""
    places, first = _places([name for name, _ in parts]), parts[0][1]
    if len(places) < len(parts) or any(len(table) < _LEAST_LINES or len(places[name].label) < 2 or places[name].split
                                       for name, table in parts):
        return None
    if any(is_named(column, Role.LABEL) for column in first.columns):
        return None
    if label := next((name for name, proposal in propose(first).items() if proposal.role is Role.LABEL), None):
        seen = [set(table.data.column(label).to_pylist()) for _, table in parts]
        if len(set.union(*seen)) < sum(map(len, seen)):
            return None
    return [(name, _with_label(table, places[name].label, first=name == parts[0][0])) for name, table in parts]


def _with_label(table: Table, label: str, *, first: bool) -> Table:
    import pyarrow as pa

    cells = pa.chunked_array([text_array([label] * len(table))])
    note = Finding(code="classes-of-files", severity=INFO, count=len(table), example=label[:60],
                   message="The class of each row is the name of the file that it stands in.",
                   remedy="Nothing to do if that is right; otherwise choose another column as the label.")
    return replace(table, data=table.data.append_column("label", cells),
                   findings=(*table.findings, *([note] if first else [])))


def read(source: Source, *, max_rows: int) -> Table | None:
    """One row a line, as the columns text and label, and split where names say it; None where the files are not so.

    `documents` of the table holds a whole file a row, for language models.
    """
    places = _places(_texts(source.files))
    lines = {name: found for name in places if (found := _lines(source, name)) is not None}
    if len(lines) < max(2, len(places)):
        return None
    split = any(place.split for place in places.values())
    columns = ["text", "label", *([by_folder.SPLIT] if split else [])]
    rows, whole = (RowBuilder(columns, max_rows=max_rows, name=source.name) for _ in range(2))
    for name, place in places.items():
        more = [place.label, *([place.split] if split else [])]
        for line in lines[name]:
            if line.strip():
                rows.add([line, *more])
        whole.add(["\n".join(lines[name]), *more])
    for name, reason in _others(source, places):
        rows.leave_out(reason, file=name)
    first, place = next(iter(places.items()))
    note = Finding(code="classes-of-files", severity=INFO, count=len(places),
                   message="Each line became a row, and its class is the file that it stands in.",
                   example=f"{first.rpartition('/')[2][:60]} is {place.label[:40]!r}",
                   remedy="Nothing to do if that is right; otherwise give one file a text, in one folder a class.")
    return replace(rows.table(format="Text files, one a class, one row a line", findings=[note]),
                   documents=whole.table(format="Text files, one document each"))


def _texts(names: Sequence[str]) -> list[str]:
    """The `.txt` files of these; where there is none that is no readme, those whose ending is a class."""
    texts = [name for name in names if folders.is_text(name)]
    ended = [name for name in names if suffix(name) in ENDINGS]
    return texts if any(not folders.is_about(name) for name in texts) else ended


def _places(names: Sequence[str]) -> dict[str, _Place]:
    """File -> the class that its name says, and the split; empty where the names say no classes."""
    texts = [name for name in names if not folders.is_about(name)]
    found = {name: _Place(label=_label(name), split=split_of(name)) for name in sorted(texts)}
    classes = Counter(found.values())
    if (not 2 <= len(found) <= _MOST or max(classes.values()) > 1 or len({place.label for place in classes}) < 2
            or not all(place.label and not re.search(r"\d", place.label) for place in classes)):
        return {}
    parents = {name.rpartition("/")[0] for name in found}
    if len(parents) > 1 and not all(split_of(f"{parent}/x") for parent in parents):
        return {}
    splits = {place.split for place in classes}
    whole = splits == {""} or ("" not in splits and "train" in splits)
    trained = {place.label for place in classes if place.split in ("", "train")}
    return found if whole and len(trained) > 1 else {}


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _label(name: str) -> str:
    """A file's name without its ending, and without the word that says a split; its ending where that is a class."""
    if suffix(name) in ENDINGS:
        return suffix(name)[1:]
    words = re.split(r"([\s._-]+)", _stem(name))
    return "".join(word for word in words if word.lower() not in ALIASES).strip(" ._-")


def _lines(source: Source, name: str) -> list[str] | None:
    """The lines of a file; None where they are not a text each."""
    try:
        data = source.read(name)
    except UNREADABLE:
        return None
    if len(data) > MAX_BYTES:
        return None
    lines = folders.decode(data).removeprefix("\ufeff").strip("\n").split("\n")
    lengths = np.asarray([len(line.strip()) for line in lines])
    filled = lengths[lengths > 0]
    if len(filled) < _LEAST_LINES or len(filled) < (1 - _BLANK) * len(lines):
        return None
    longest = np.quantile(filled, 0.95)
    wrapped = longest >= _LONG and np.mean(filled >= 0.8 * longest) > _WRAPPED and suffix(name) not in ENDINGS
    return None if wrapped else lines


def _others(source: Source, places: Mapping[str, _Place]) -> Iterator[tuple[str, str]]:
    for name in source.files:
        if name not in places:
            yield name, "it is about the data" if folders.is_about(name) else "it is not a .txt file"
    for names, reason in ((source.hidden, HIDDEN), (source.links, by_folder.LINK)):
        for name in names:
            yield name, reason
