"""Pictures annotated for another task (boxes and outlines): recognised by their files, and refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.data.pictures.source import is_picture
from core.data.source import Source, suffix
from core.errors import DataError

_LOOKED_AT = 20
"""Files of a kind that are looked into."""
_START = 4_000_000


def kind(source: Source) -> tuple[str, str] | None:
    """(what the pictures are annotated with, a file that says so); None where nothing of that kind is found."""
    for name, start in _starts(source, ".json"):
        if b'"images"' in start and (b'"annotations"' in start or b'"categories"' in start):
            return "COCO", name
        if b'"shapes"' in start and b'"imagePath"' in start:
            return "LabelMe", name
        if b'"regions"' in start and b'"shape_attributes"' in start:
            return "VIA", name
    for name, start in _starts(source, ".xml"):
        if b"<annotation" in start and (b"<object>" in start or b"<image " in start):
            return "CVAT" if b"<annotations" in start else "Pascal VOC", name
    stems = {name.rpartition("/")[2].rpartition(".")[0] for name in source.files if is_picture(name)}
    for name, start in _starts(source, ".txt"):
        lines = start.decode("utf-8", "replace").split("\n")
        if name.rpartition("/")[2].rpartition(".")[0] in stems and re.fullmatch(r"\d+( [\d.e-]+){4,}\s*", lines[0]):
            return "YOLO", name
    return None


def refusal(source: Source, found: tuple[str, str]) -> DataError:
    """Why such pictures cannot be read."""
    what, file = found
    return DataError(f"{source.name} holds {what} annotations, which Thaw does not read.",
                     why=f"{file[:100]} marks objects within pictures; Thaw learns one class for a whole picture, and "
                         "no folder or table says one.",
                     remedy="Put each picture, or each cut-out object, into a folder named after its class, or add a "
                            "table with the columns file and label.")


def _starts(source: Source, ending: str) -> Iterator[tuple[str, bytes]]:
    for name in [name for name in source.files if suffix(name) == ending][:_LOOKED_AT]:
        try:
            yield name, source.read(name)[:_START]
        except Exception:  # noqa: BLE001, S112  # a file that cannot be read says nothing
            continue
