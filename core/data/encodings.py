"""Which encoding a text file has: byte order mark, UTF-8, UTF-16 without a mark, or a good guess."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.data import legacy
from core.errors import DataError

FALLBACK = "thaw-windows-1252"
"""Decode error handler: a byte that is not UTF-8 is read as Windows-1252 (as old tools wrote it)."""

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SAMPLE = 1 << 18
_MOST_BYTES = 400_000
_LUCK = 0.3
"""Valid UTF-8 characters for each invalid byte from which a file is damaged UTF-8; fewer arise by chance."""


def _fallback(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    piece = error.object[error.start : error.end]
    return piece.decode("cp1252", errors="ignore") or piece.decode("latin-1"), error.end


codecs.register_error(FALLBACK, _fallback)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How to open a text file: `open(path, encoding=name, errors=errors)`."""

    name: str
    errors: str = "strict"
    mixed: int = 0
    """Bytes that are not UTF-8 in a file that otherwise is."""


def detect(path: Path) -> Encoding:
    """The encoding of a text file. Raises DataError when the file is not text at all."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    for mark, name in _BOMS:
        if head.startswith(mark):
            return Encoding(name=name, errors="replace" if name != "utf-8-sig" else FALLBACK)
    if wide := _utf16_without_mark(head):
        return Encoding(name=wide, errors="replace")
    if head.count(0) > max(16, len(head) // 50):
        raise DataError(f"{path.name} is not a text file.",
                        why="A large part of it is zero bytes, as in a program or a picture.",
                        remedy="Save the table as CSV (UTF-8), JSON Lines, Parquet or XLSX and import that file.")
    with path.open("rb") as file:
        bad, multibyte = _count_utf8(iter(lambda: file.read(1 << 22), b""))
    if not bad:
        return Encoding(name="utf-8")
    if multibyte > _LUCK * bad:
        return Encoding(name="utf-8", errors=FALLBACK, mixed=bad)
    return _legacy(_lines_beyond_ascii(path))


def of_bytes(data: bytes) -> Encoding:
    """The encoding of a whole text: like `detect`, but anything is text."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return Encoding(name=name, errors="replace" if name != "utf-8-sig" else FALLBACK)
    bad, multibyte = _count_utf8([data])
    if not bad or multibyte > _LUCK * bad:
        return Encoding(name="utf-8", errors=FALLBACK, mixed=bad)
    return _legacy(data)


def _legacy(data: bytes) -> Encoding:
    name = legacy.guess(data)
    return Encoding(name=name, errors=FALLBACK if name == legacy.WESTERN else "replace")


def _lines_beyond_ascii(path: Path) -> bytes:
    """Lines that are not ASCII, from all over a file."""
    found: list[bytes] = []
    size, step = 0, 1
    with path.open("rb") as file:
        lines = (line for line in file if not line.isascii())
        for number, line in enumerate(lines):
            if number % step:
                continue
            found.append(line[:20_000])
            size += len(found[-1])
            if size > _MOST_BYTES:                                   # every other one is enough from here on
                found, step = found[::2], 2 * step
                size = sum(map(len, found))
    return b"".join(found)


def _utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 without its mark: spaces, digits and line ends have a zero byte, always on the same side."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if len(head) < 8 or max(even, odd) < max(2, len(head) // 200) or min(even, odd) > max(even, odd) // 3:
        return None
    name = "utf-16-le" if odd > even else "utf-16-be"
    text = head[: len(head) - len(head) % 2].decode(name, "replace")
    strange = sum(char == "\ufffd" or (unicodedata.category(char) in ("Cn", "Co", "Cc") and char not in "\t\r\n\x00")
                  for char in text)
    return name if strange <= max(1, len(text) // 100) else None


def _count_utf8(pieces: Iterable[bytes]) -> tuple[int, int]:
    """(bytes that are not UTF-8, valid characters of more than one byte)."""
    bad = multibyte = 0

    def count(error: UnicodeError) -> tuple[str, int]:
        nonlocal bad
        if not isinstance(error, UnicodeDecodeError):
            raise error
        bad += error.end - error.start
        return "", error.end

    codecs.register_error("thaw-count", count)
    decoder = codecs.getincrementaldecoder("utf-8")("thaw-count")
    for piece in pieces:
        text = decoder.decode(piece)
        multibyte += 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
    decoder.decode(b"", final=True)
    return bad, multibyte
