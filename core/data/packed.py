"""A single compressed file, such as rows.csv.gz: unpacked to a temporary folder, as far as it may grow."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import IO, Any

from core.data.archive import MAX_RATIO
from core.errors import DataError

KINDS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd",
         b"\x04\x22\x4d\x18": "lz4"}
"""First bytes of a compressed file -> how it is compressed."""
SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zstd", ".lz4", ".gzip")
_PIECE = 1 << 20


def kind_of(head: bytes) -> str | None:
    """How a file that begins with these bytes is compressed; None where it is not."""
    return next((kind for magic, kind in KINDS.items() if head.startswith(magic)), None)


def inner_name(name: str) -> str:
    """What a compressed file is called when it is unpacked."""
    stem = Path(name).stem if Path(name).suffix.lower() in SUFFIXES else name
    return stem or "unpacked"


def unpack(path: Path, dest: Path, *, max_bytes: int, first_bytes: int | None = None) -> tuple[Path, bool]:
    """(the unpacked file in the folder `dest`, whether it is all there). first_bytes: stop after about so many.

    Raises DataError when it is damaged or cut off, or grows to more than `max_bytes` or more than 200 times its size.
    """
    with path.open("rb") as file:
        kind = kind_of(file.read(16))
    most = min(max_bytes, max(MAX_RATIO * path.stat().st_size, 10_000_000))
    target, written = dest / inner_name(path.name), 0
    try:
        with _opened(path, kind) as source, target.open("wb") as sink:
            while piece := source.read(_PIECE):
                written += len(piece)
                if first_bytes is None and written > most:
                    raise _too_large(path, written, max_bytes)
                sink.write(piece)
                if first_bytes is not None and written >= first_bytes:
                    return target, not source.read(1)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path.name} cannot be unpacked.", why=f"It is damaged or cut off ({str(error)[:120]}).",
                        remedy="Compress or copy it again, or unpack it yourself and import what is inside.") from error
    return target, True


def _opened(path: Path, kind: str | None) -> IO[bytes] | Any:
    if kind in ("zstd", "lz4"):
        import pyarrow as pa

        return pa.CompressedInputStream(pa.OSFile(str(path), "rb"), kind)
    opener: Any = {"bzip2": bz2.open, "xz": lzma.open}.get(str(kind), gzip.open)
    return opener(path, "rb")


def _too_large(path: Path, written: int, max_bytes: int) -> DataError:
    if written > max_bytes:
        return DataError(f"{path.name} unpacks to more than {max_bytes / 1e6:,.0f} MB.",
                         why="That is the limit of this installation.",
                         remedy="Import a sample of it, or raise THAW_MAX_UPLOAD_MB and start again.")
    return DataError(f"{path.name} was not unpacked.",
                     why=f"For safety: it grows to more than {MAX_RATIO} times its size, as a bomb does.",
                     remedy="Unpack it yourself, look at it, and import what is inside.")
