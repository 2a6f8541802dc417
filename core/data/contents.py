"""What the files of an archive or folder hold, as far as their names tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from enum import Enum

from core.data import several_files
from core.data.layout import arrange
from core.data.pictures.source import is_picture
from core.data.readers import (
    arrays,
    class_files,
    documents,
    folders,
    mails,
    parallel_lines,
    parallel_texts,
    pictures,
    whatsapp,
)
from core.data.several_files import TEXTS, is_table
from core.data.source import suffix
from core.errors import DataError

_READ = frozenset({*TEXTS, ".xml", *class_files.ENDINGS, *parallel_lines.ENDINGS, *parallel_texts.ENDINGS,
                   *documents.ENDINGS, *folders.TAKEN_OUT, *mails.BOXES})
"""Endings of texts, and of what tells about pictures."""


class Contents(Enum):
    """What the files of an archive or folder hold."""

    PICTURES = "pictures"
    TEXTS = "texts in class folders"
    TABLE = "a table, or some that belong together"


_PICKLE = re.compile(r"(^|/)(data_batch_\d|test_batch|batches\.meta)$|\.(pkl|pickle|joblib|pt|pth)$")
_PICKLES_OF_CIFAR_100 = frozenset({"train", "test", "meta"})
_LEAST_TEXTS = 6
"""Text files in class folders from which they are the rows, whatever tables there are: three a class."""


def of(names: Sequence[str]) -> Contents | None:
    """What files of these names hold; None for nothing that is read."""
    if mostly_pictures(names):
        return Contents.PICTURES
    tables = sum(is_table(name) for name in names)
    texts = folders.texts_of(names)
    layout = arrange(texts)
    placed = [place.label for name in texts if layout and not isinstance(place := layout.place(name), str)]
    if len(placed) >= _LEAST_TEXTS and len(set(placed)) > 1:
        return Contents.TEXTS
    if several_files.plan(names):
        return Contents.TABLE
    told = any(folders.holds_text(name) and not folders.is_about(name) for name in texts)
    return Contents.TEXTS if told and not tables else None


def mostly_pictures(names: Sequence[str]) -> bool:
    """Whether a list of files is a set of pictures (also with a table, or a text for each) rather than of texts; those
    of a chat are none."""
    count = sum(is_picture(name) for name in names)
    return count > 0 and 2 * count >= sum(map(folders.holds_text, names)) and not any(map(whatsapp.is_named, names))


def is_read(name: str) -> bool:
    """Whether a file of an archive may be read, by its name: a tar archive is unpacked for these only."""
    return (is_picture(name) or is_table(name) or suffix(name) in _READ or folders.may_be_text(name)
            or arrays.is_part(name))


def unknown(name: str, files: Sequence[str]) -> DataError:
    """An archive that is neither one table nor folders of texts or pictures."""
    tables = sum(is_table(file) for file in files)
    kinds = Counter(suffix(file) or "no ending" for file in files)
    if kinds[".svg"] and kinds[".svg"] == max(kinds.values()):
        return DataError(f"{name} holds SVG drawings, not pictures made of pixels.",
                         why="An SVG is a program for drawing; Thaw does not run what comes with data.",
                         remedy=f"Export the drawings as PNG and arrange them like this:\n{pictures.TREE}")
    if _PICKLES_OF_CIFAR_100.issubset(file.rpartition("/")[2] for file in files) or any(map(_PICKLE.search, files)):
        return DataError(f"{name} holds Python pickles.", why="They may run programs when they are read.",
                         remedy="Download the binary version of the set, or save the pictures in one folder a class or "
                                "as arrays with numpy.savez.")
    if any(kind in pictures.ARCHIVES for kind in kinds) and not tables:
        return DataError(f"{name} holds another archive.", why="Archives inside archives are not opened, for safety.",
                         remedy="Unpack it once and import the inner archive or the folder.")
    return DataError(f"{name} holds {tables} tables, {kinds['.txt']:,} .txt files and no pictures that Thaw reads.",
                     why="Found: " + (", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(5))
                                      or "nothing") + ".",
                     remedy="Pack one table alone, tables named train, validation and test with the same columns, or "
                            f".txt files like this:\n{folders.TREE}\nor pictures like this:\n{pictures.TREE}")
