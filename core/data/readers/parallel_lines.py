"""Texts and their classes in two files, line by line: `train_text.txt` and `train_labels.txt` (TweetEval), `seq.in` and
`label` (SNIPS, ATIS)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.archive import UNREADABLE
from core.data.images import MAX_BYTES
from core.data.readers import by_folder, folders
from core.data.readers.table import RowBuilder, Table
from core.data.report import INFO, Finding
from core.data.several_files import split_of
from core.data.source import Source, suffix
from core.errors import DataError

_TEXTS = frozenset({"text", "texts", "sentence", "sentences", "data", "x", "tweets", "reviews", "comments", "documents",
                    "questions", "utterances", "seq", "in"})
_LABELS = frozenset({"label", "labels", "class", "classes", "category", "categories", "target", "targets", "y",
                     "intent", "intents", "sentiment"})
ENDINGS = (".txt", ".text", ".label", ".labels", ".in")
_LEAST_LINES = 6
_LONGEST = 60
"""Characters of a class."""
_MOST_FILES = 60


@dataclass(frozen=True, kw_only=True)
class _Pair:
    texts: str
    labels: str
    split: str


def are_pairs(names: Sequence[str]) -> bool:
    """Whether there are files of texts and of classes that belong together, by their names."""
    return bool(_pairs(names))


def read(source: Source, *, max_rows: int) -> Table | None:
    """One row a line, as the columns text and label, and split where the names say it; None where there are no such
    files. Raises DataError where those of one split belong together, and of another are not equally long."""
    pairs = _pairs(source.files)
    lines = {name: _lines(source, name) for pair in pairs for name in (pair.texts, pair.labels)}
    wrong = [pair for pair in pairs if not _belong(lines[pair.texts], lines[pair.labels])]
    if len(wrong) == len(pairs):
        return None
    if wrong:
        counts = [f"{name.rpartition('/')[2][:60]} has {len(lines[name]):,} lines"
                  for name in (wrong[0].texts, wrong[0].labels)]
        raise DataError(f"{source.name} has texts and classes that do not belong together.",
                        why=f"{' and '.join(counts)}; each text needs the class in the same line.",
                        remedy="Mend or remove these two files, or make one table of texts and classes.")
    split = all(pair.split for pair in pairs) and len(pairs) > 1
    builder = RowBuilder(["text", "label", *([by_folder.SPLIT] if split else [])], max_rows=max_rows, name=source.name)
    for pair in pairs:
        for text, label in zip(lines[pair.texts], lines[pair.labels], strict=True):
            builder.add([text, label, *([pair.split] if split else [])])
    first = pairs[0]
    note = Finding(code="parallel-files", severity=INFO, count=len(pairs),
                   message="Texts and classes were read from files of their own, line by line.",
                   example=f"{first.texts.rpartition('/')[2][:40]} and {first.labels.rpartition('/')[2][:40]}",
                   remedy="Nothing to do if these belong together; otherwise make one table of them.")
    for name in source.files:
        if name not in lines:
            builder.leave_out("it is neither of texts nor of classes", file=name)
    return builder.table(format="Text files, one of texts and one of classes", findings=[note])


def _pairs(names: Sequence[str]) -> list[_Pair]:
    found: dict[str, dict[bool, list[str]]] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        words = [word for word in re.split(r"[\W_]+", last.lower().removesuffix(".txt")) if word]
        kinds = {True for word in words if word in _LABELS} | {False for word in words if word in _TEXTS}
        if len(kinds) == 1 and suffix(last) in ("", *ENDINGS):
            key = "/".join([folder, *(word for word in words if word not in _TEXTS | _LABELS and word != "out")])
            found.setdefault(key, {}).setdefault(kinds.pop(), []).append(name)
    pairs = [_Pair(texts=kinds[False][0], labels=kinds[True][0], split=split_of(kinds[False][0]))
             for kinds in found.values() if all(len(kinds.get(kind, ())) == 1 for kind in (True, False))]
    splits = [pair.split for pair in pairs]
    if len(pairs) > _MOST_FILES or (len(pairs) > 1 and ("train" not in splits or len(set(splits)) < len(splits))):
        return []
    return sorted(pairs, key=lambda pair: ("train", "validation", "test", "shift", "").index(pair.split))


def _lines(source: Source, name: str) -> list[str]:
    try:
        data = source.read(name)
    except UNREADABLE:
        return []
    if len(data) > MAX_BYTES or b"\0" in data:
        return []
    text = folders.decode(data).removeprefix("\ufeff")
    return [line.strip() for line in text.removesuffix("\n").split("\n")] if text else []


def _belong(texts: Sequence[str], labels: Sequence[str]) -> bool:
    return (len(texts) == len(labels) >= _LEAST_LINES and all(labels) and max(map(len, labels)) <= _LONGEST
            and len(set(labels)) <= len(labels) / 2 and sum(map(len, texts)) > sum(map(len, labels)))
