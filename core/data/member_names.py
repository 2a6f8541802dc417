"""File names inside archives as their authors saw them, whichever system wrote them."""

from __future__ import annotations

import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

_ENCODINGS = ("cp437", "cp850", "cp1252", "cp866", "cp1251", "cp932", "euc_kr", "gbk", "big5")
"""What ZIP tools wrote before UTF-8, likeliest first: Western, Cyrillic, Japanese, Korean, Chinese."""
_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
"""Id of the extra field in which Info-ZIP keeps the name in UTF-8."""
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "HIRAGANA", "KATAKANA", "CJK", "HANGUL")


def open_zip(path: Path) -> zipfile.ZipFile:
    """A ZIP whose members are named as on the system that packed it: `ZipInfo.filename` is set right, so that
    `open(info)` works.

    The UTF-8 flag and the Unicode extra field count; other names are UTF-8 where they are valid as such (macOS), else
    of the encoding that gives the likeliest names. Raises what `zipfile.ZipFile` raises.
    """
    bundle = zipfile.ZipFile(path)
    members = bundle.infolist()
    unsure = [info for info in members if not info.flag_bits & _UTF8_FLAG
              and (info.extra or not info.filename.isascii())]
    raw = {id(info): info.orig_filename.encode("cp437", "replace") for info in unsure}
    kept = {id(info): name for info in unsure if (name := _from_extra(info.extra, raw[id(info)])) is not None}
    left = [info for info in unsure if id(info) not in kept and not info.filename.isascii()]
    for info, name in zip(left, decoded([raw[id(info)] for info in left]), strict=True):
        info.filename = name
    for info in unsure:
        info.filename = kept.get(id(info), info.filename)
    for info in members:
        if info.filename.endswith("\\") and not info.file_size:      # how some Windows tools write a folder
            info.filename = info.filename[:-1] + "/"
    return bundle


def readable(names: Sequence[str]) -> list[str]:
    """Names as on their own system: those that are no UTF-8 (with lone surrogates) are decoded together."""
    unsure = [name for name in names if not name.isascii() and any("\ud800" <= c <= "\udfff" for c in name)]
    meant = dict(zip(unsure, decoded([name.encode("utf-8", "surrogateescape") for name in unsure]), strict=True))
    return [meant.get(name, name) for name in names]


def decoded(names: Sequence[bytes]) -> list[str]:
    """Names in bytes as text: UTF-8 where all are valid, else the one encoding that reads best over all."""
    if not names:
        return []
    for encoding in ("utf-8", min(_ENCODINGS, key=lambda encoding: _doubt(names, encoding))):
        try:
            return [name.decode(encoding) for name in names]
        except UnicodeDecodeError:
            continue
    return [name.decode("utf-8", "replace") for name in names]


def _doubt(names: Sequence[bytes], encoding: str) -> float:
    """How unlikely these names are in an encoding."""
    try:
        texts = {part for name in names for part in name.decode(encoding).replace("\\", "/").split("/")
                 if not part.isascii()}
    except UnicodeDecodeError:
        return float("inf")
    return sum(_strange(text) for text in texts)


def _strange(text: str) -> float:
    """Counts signs and boxes, scripts mixed within a word, capitals inside words, words of accented letters only."""
    doubt, before = 0.0, ""
    for character in text:
        kind, name = unicodedata.category(character), unicodedata.name(character, "")
        if not character.isascii():
            doubt += (2.0 * (kind[0] not in "LM") + 3.0 * (kind in ("Cc", "Cn", "Co"))
                      + 2.0 * name.startswith("HALFWIDTH"))
        if before.isalpha() and character.isalpha():
            doubt += 1.5 * (_script(before) != _script(character))
            doubt += 1.0 * (before.islower() and character.isupper() and not (before + character).isascii())
        before = character
    letters = [character for character in text if character.isalpha()]
    accented = len(letters) > 2 and all(_script(c) == "LATIN" and not c.isascii() for c in letters)
    return doubt + 1.0 * accented


def _script(character: str) -> str:
    found = next((script for script in _SCRIPTS if unicodedata.name(character, "").startswith(script)), "")
    return "CJK" if found in ("HIRAGANA", "KATAKANA") else found      # Japanese mixes the three


def _from_extra(extra: bytes, raw: bytes) -> str | None:
    """The name in the Unicode extra field, where it is that of this member."""
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(body) > 5 and int.from_bytes(body[1:5], "little") == zlib.crc32(raw):
            try:
                return body[5:].decode("utf-8")
            except UnicodeDecodeError:
                return None
    return None
