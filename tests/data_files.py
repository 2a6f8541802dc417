"""Files for tests of readers, and what must hold of any of them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from core.data import tables
from core.errors import DataError
from core.settings import Settings


def tar(path: Path, files: Mapping[str, bytes]) -> Path:
    """A packed archive of files."""
    with tarfile.open(path, "w:gz") as bundle:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            bundle.addfile(member, io.BytesIO(data))
    return path


def counted(path: Path, settings: Settings) -> bool:
    """Whether a file is read with a true count, or refused in three parts."""
    try:
        table = tables.read(path, settings=settings)
    except DataError as error:
        return bool(error.remedy)
    return table.rows_read == len(table) + len(table.left_out)
