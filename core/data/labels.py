"""When two labels are the same to a reader, and spellings that show a difference."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache

_TAGS = range(0xE0020, 0xE0080)
"""Characters that make the flags of regions: nothing to see alone, but they tell one flag from another."""
_BLANKS = dict.fromkeys(map(ord, "\u034f\u115f\u1160\u17b4\u17b5\u180e\u2800\u3164\uffa0"), None)
"""Seen as nothing though Unicode calls them letters, marks or symbols."""
_ALIKE = str.maketrans({**dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
                        **dict.fromkeys("\u2018\u2019\u02bc", "'")})
"""Dashes and apostrophes that programs put in for those of the keyboard."""
_NUMBER = re.compile(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30}|\d{1,30},(\d{1,2}|\d{4,30}))(e[+-]?\d{1,2})?")
"""A number as tables write it; a comma before three digits may part thousands, so that is no number."""


def clean(label: str) -> str:
    """A label as it looks: composed characters (NFC), nothing invisible, one space for every blank, none outside."""
    if label.isascii() and label.isprintable():
        return " ".join(label.split())
    return " ".join(unicodedata.normalize("NFC", "".join(_seen(c) for c in label.translate(_BLANKS))).split())


def _seen(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cc":
        return " " if character.isspace() else ""
    if kind == "Cf":
        return character if ord(character) in _TAGS else ""
    return "" if "\ufe00" <= character <= "\ufe0f" else character


@cache
def unseen() -> str:
    """Blanks and invisible characters, for trimming whole columns."""
    return "".join(c for c in map(chr, range(0x10000)) if not clean(c))


def key(label: str) -> str:
    """What labels share that differ only in letter case, spaces, invisible characters, Unicode form, or how a number is
    written.

    `Sport` = `sport` = `sport\u200b`; `café` composed = decomposed; full-width `Ａ` = `a`; `1` = `1.0` = `01` = `1,0`.
    """
    folded = unicodedata.normalize("NFKC", clean(unicodedata.normalize("NFKC", label)).translate(_ALIKE).casefold())
    return _number(folded) or folded


def _number(text: str) -> str | None:
    """One spelling of a number: without a sign of plus, outer zeros and exponent; None for all else."""
    if not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text.replace(",", "."))
    return format(value.normalize(), "f") if value else "0"


def same(labels: Iterable[str]) -> list[list[str]]:
    """Groups of two or more labels with the same key, in the order given."""
    spelled: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        spelled[key(label)].append(label)
    return [names for names in spelled.values() if len(names) > 1]


def merged(counts: Mapping[str, int]) -> dict[str, str]:
    """label -> its name once labels of one key are joined: as most rows write it (the shortest of equals)."""
    best: dict[str, tuple[int, int, str]] = {}
    for label, count in counts.items():
        name = clean(label) or label
        candidate = (-count, len(name), name)
        best[key(label)] = min(best.get(key(label), candidate), candidate)
    return {label: best[key(label)][2] for label in counts}


def match(labels: Iterable[str], classes: Iterable[str]) -> dict[str, str]:
    """label -> class for labels that have one: an equal name, else the only class with the same key."""
    names = list(classes)
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_key[key(name)].append(name)
    found = {}
    for label in labels:
        alike = [label] if label in names else by_key.get(key(label), [])
        if len(alike) == 1:
            found[label] = alike[0]
    return found


def spelt(label: str, *, others: Iterable[str] = (), chars: int = 40) -> str:
    """A label in quotation marks; where it looks like another, with hidden characters as `'cafe\\u0301'`."""
    short = label[:chars]
    alike = any(clean(other[:chars]) == clean(short) for other in others if other != label)
    return ascii(short) if alike and repr(short).isprintable() and not short.isascii() else repr(short)
