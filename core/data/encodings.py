"""Which encoding a text file has: byte order mark, UTF-8, UTF-16 without a mark, or a good guess."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from core.errors import DataError

FALLBACK = "thaw-windows-1252"
"""Decode error handler: a byte that is not UTF-8 is read as Windows-1252 (as old tools wrote it)."""

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SAMPLE = 1 << 18


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
        raise DataError(f"{path.name} is not a text file.", why="A large part of it is zero bytes, as in a program or a picture.",
                        remedy="Save the table as CSV (UTF-8), JSON Lines, Parquet or XLSX and import that file.")
    bad, multibyte = _count_invalid_utf8(path)
    if not bad:
        return Encoding(name="utf-8")
    if multibyte:
        return Encoding(name="utf-8", errors=FALLBACK, mixed=bad)
    return Encoding(name=_guess(path), errors="replace")


def _utf16_without_mark(head: bytes) -> str | None:
    """Mostly-Latin text in UTF-16 has a zero in every second byte."""
    even, odd = head[0::2], head[1::2]
    if len(head) < 8 or not odd:
        return None
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return None


def _count_invalid_utf8(path: Path) -> tuple[int, bool]:
    """(invalid bytes, whether there are valid characters of more than one byte)."""
    bad = 0

    def count(error: UnicodeError) -> tuple[str, int]:
        nonlocal bad
        if not isinstance(error, UnicodeDecodeError):
            raise error
        bad += error.end - error.start
        return "", error.end

    codecs.register_error("thaw-count", count)
    decoder = codecs.getincrementaldecoder("utf-8")("thaw-count")
    multibyte = False
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            multibyte |= not decoder.decode(piece).isascii()
    decoder.decode(b"", final=True)
    return bad, multibyte


def _guess(path: Path) -> str:
    """A single-byte or East Asian encoding for a file without any UTF-8, guessed from the lines that are not ASCII."""
    from charset_normalizer import from_bytes

    sample = bytearray()
    with path.open("rb") as file:
        for line in file:
            if not line.isascii():
                sample += line[:20_000]
                if len(sample) > 60_000:
                    break
    best = from_bytes(bytes(sample)).best()
    if best is None or not _western_is_wrong(bytes(sample)):
        return "cp1252" if _decodes(bytes(sample), "cp1252") else "latin-1"
    return str(best.encoding)


def _western_is_wrong(sample: bytes) -> bool:
    """Whether so much of the text is not ASCII that a Western European encoding is unlikely."""
    high = sum(byte >= 0x80 for byte in sample)
    letters = sum(chr(byte).isalpha() for byte in sample if byte < 0x80)
    return high > letters


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
