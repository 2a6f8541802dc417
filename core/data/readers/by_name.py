"""Pictures whose names say their class: `cat.17.jpg`, `american_bulldog_3.jpg`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from core.data.pictures.source import ending
from core.data.readers import by_folder
from core.data.readers.table import RowBuilder, Table
from core.data.report import INFO, Finding
from core.data.source import HIDDEN, Source
from core.data.splits import folder_meanings

_NUMBERED = re.compile(r"(.*[^\W\d_].*?)[\s._-]*\(?\d+\)?")
_OF_DEVICES = frozenset({"img", "image", "images", "imagen", "bild", "dsc", "dscn", "dscf", "dji", "gopr", "pic",
                         "picture", "photo", "foto", "pxl", "mvimg", "vid", "video", "screenshot", "screen shot",
                         "scan", "frame", "file", "page", "sample", "whatsapp image", "untitled", "isic", "patient",
                         "train", "test", "val", "validation"})
"""What cameras and programs write before a number; no classes."""
_LEAST = 3
"""Pictures a class."""
_ENOUGH = 0.6
"""Share of all pictures whose names say a class; those of a test set often do not."""
_MOST = 200


def classes(pictures: Sequence[str]) -> dict[str, str]:
    """Picture -> what stands before the number in its name, where that makes two or more classes; else empty."""
    said = {name: found[1] for name in pictures
            if (found := _NUMBERED.fullmatch(name.rpartition("/")[2].removesuffix(ending(name)).strip()))}
    counts = Counter(said.values())
    if (len(said) < _ENOUGH * len(pictures) or not 2 <= len(counts) <= _MOST or min(counts.values()) < _LEAST
            or any(re.sub(r"[\W_]+", " ", name).strip().casefold() in _OF_DEVICES for name in counts)):
        return {}
    return said


def table(source: Source, pictures: Sequence[str], said: dict[str, str], *, max_rows: int) -> Table:
    """One row a picture, as the columns image and label, and split where the folders of those with a class say it."""
    parents = {name: name.rpartition("/")[0].rpartition("/")[2] for name in said}
    splits, others = folder_meanings(parents.values()), set(pictures).difference(said)
    split = len(set(splits.values())) > 1 and set(parents.values()) <= set(splits)
    columns = ["image", "label", *([by_folder.SPLIT] if split else [])]
    builder = RowBuilder(columns, max_rows=max_rows, name=source.name)
    for name in source.files:
        if name in said:
            builder.add([name, said[name], *([splits[parents[name]]] if split else [])])
        else:
            builder.leave_out("its name says no class" if name in others else "it is no picture", file=name)
    for names, reason in ((source.hidden, HIDDEN), (source.links, by_folder.LINK)):
        for name in names:
            builder.leave_out(reason, file=name)
    first = next(iter(said))
    note = Finding(code="classes-of-names", severity=INFO, count=len(said),
                   message="No folder or table tells the classes; they were taken from the names of the files.",
                   example=f"{first.rpartition('/')[2][:60]} is {said[first][:40]!r}",
                   remedy="Nothing to do if that is right; otherwise arrange the pictures in one folder a class.")
    return replace(builder.table(format="Pictures, their names tell the class", findings=[note]), image_column="image")
