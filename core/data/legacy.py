"""Which of the encodings from before Unicode a text has: judged by all of its words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache

WESTERN = "cp1252"
_WORDS = 4_000
_LATIN = ("cp1252", "cp850", "mac_roman")
_CENTRAL = ("cp1250", "iso8859_2", "cp852")
_CYRILLIC = ("cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic")
_ALPHABETS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (_LATIN, "àâæçéèêëîïôœùûüÿ", ""), (_LATIN, "äöüßé", ""), (_LATIN, "áéíñóúüçàèïòªº", ""),
    (_LATIN, "ãáâàçéêíóôõúü", ""), (_LATIN, "àèéìíîòóùú", ""), (_LATIN, "åäöæøéü", ""), (_LATIN, "áðéíóúýþæö", ""),
    (_LATIN, "ëïéèöüáó", ""), (_CENTRAL, "ąćęłńóśźż", ""), (_CENTRAL, "áčďéěíňóřšťúůýžöü", ""),
    (_CENTRAL, "áäčďéíĺľňóôŕšťúýž", ""), (_CENTRAL, "áéíóöőúüű", ""), (_CENTRAL, "ăâîşţ", ""), (_CENTRAL, "čćđšž", ""),
    (("cp1254",), "çğıöşüâîû̇", ""), (("cp1257",), "ąčęėįšųūž", ""), (("cp1257",), "āčēģīķļņšūž", ""),
    (("cp1257",), "äõöüšž", ""), (_CYRILLIC, "абвгдежзийклмнопрстуфхцчшщъыьэюяё", "оеаинтсрвл"),
    (_CYRILLIC, "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "оаиінвтерс"),
    (_CYRILLIC, "абвгдђежзијклљмнњопрстћуфхцчџш", "аоиенрсјту"),
    (("cp1253", "iso8859_7"), "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώϊϋΐΰς", "αοιετσνηυρ"),
    (("cp1255", "iso8859_8"), "".join(map(chr, range(0x5B0, 0x5EB))), "יוהלאתרמבש"),
    (("cp1256", "iso8859_6"), "".join(map(chr, range(0x621, 0x653))), "اليمنورتبعدسف"),
    (("cp874",), "".join(map(chr, range(0xE01, 0xE5C))), "านรอกเงมยลวดทตสปคบห่้ี"))
"""(encodings, letters of a language beyond a-z in lower case, its most frequent ones for other alphabets)."""
_WIDE = ("cp932", "euc_jp", "gb18030", "big5", "cp949")
_HAN = frozenset(
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她"
    "里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老"
    "从动两长這來國個說們為時過學對裡後麼沒於還發當無開見經頭動兩長很都，。！？、：；“”（）《》")
"""The most frequent characters of Chinese texts, with their punctuation."""


def guess(data: bytes) -> str:
    """The most likely encoding of a text that is not UTF-8; `WESTERN` where nothing speaks against it."""
    lines = [line for line in data.splitlines() if not line.isascii()]
    sample = b"\n".join(lines[:: max(1, len(lines) // 2_000)])[:400_000]
    words = Counter(re.findall(rb"[A-Za-z']*[\x80-\xff][A-Za-z'\x80-\xff]*", sample))
    most = dict(words.most_common(_WORDS))
    costs: dict[str, float] = {}
    for encodings, letters, frequent in _ALPHABETS:
        for rank, encoding in enumerate(encodings):
            cost = _cost_of_words(most, encoding, letters, frequent) + 0.004 * rank
            costs[encoding] = min(cost, costs.get(encoding, 9.0))
    western = _cost_of_words(most, WESTERN, "".join({*"".join(letters for encodings, letters, _ in _ALPHABETS
                                                              if encodings is _LATIN)}), "")
    costs[WESTERN] = min(costs[WESTERN], western + 0.1) - 0.05
    costs |= {encoding: _cost_of_text(sample, encoding) for encoding in _WIDE}
    best = min(costs, key=lambda encoding: costs[encoding])
    return best if costs[best] < 0.5 else WESTERN


def _cost_of_words(words: dict[bytes, int], encoding: str, letters: str, frequent: str) -> float:
    """How unlike a language the words look in an encoding: 0 for all letters known, about 1 for none."""
    known = frozenset(letters)
    total = cost = capitals = common = beyond = 0.0
    for raw, count in words.items():
        word = _decoded(raw, encoding)
        odd = 0.0
        for position, char in enumerate(word):
            if char.isascii():
                continue
            folded = char.lower()
            before, after = word[position - 1 : position], word[position + 1 : position + 2]
            beyond += count
            common += count * (folded in frequent)
            if not set(folded) <= known:
                odd += _cost_of_symbol(char, before, after)
            elif char.isupper() and before.islower():
                odd += 2
            elif char.islower() and before.isupper() and after.isupper():
                odd += 1
        high = sum(not char.isascii() for char in word) or 1
        mixed = bool(frequent) and any(char.isascii() and char.isalpha() for char in word)
        cost += count * min(2.0, odd / high + mixed)
        capitals += count * (len(word) > 3 and word.isupper())
        total += count
    if not total:
        return 0.0
    rarity = max(0.0, 0.55 - common / max(1.0, beyond)) if frequent else 0.0
    return cost / total + 0.5 * capitals / total + rarity


def _cost_of_symbol(char: str, before: str, after: str) -> float:
    """A character that is no letter of the language: harmless where a quotation mark or a currency sign would stand."""
    category = unicodedata.category(char)
    inside = before.isalpha() and after.isalpha()
    if char in "’‘´ʼ­" or ((category in ("Pi", "Pf", "Pd", "Zs") or char in "„‚…€£§°©®™•·«»¿¡“”–—º½²") and not inside):
        return 0.0
    return 1.0 if category[0] == "L" else 2.0


@cache
def _decoded(raw: bytes, encoding: str) -> str:
    return raw.decode(encoding, "replace")


def _cost_of_text(sample: bytes, encoding: str) -> float:
    """The same for encodings of East Asia: how much is no valid character, or none that is frequent there."""
    text = sample.decode(encoding, "replace")
    high = [char for char in text if not char.isascii()]
    if not high:
        return 9.0
    wrong = sum(char == "\ufffd" or unicodedata.category(char) in ("Co", "Cn", "Cc") for char in high) / len(high)
    if encoding in ("cp932", "euc_jp"):
        likely = 2.0 * sum("\u3041" <= char <= "\u30fe" for char in high) / len(high)
        # half-width kana are what nonsense looks like
        wrong += sum("\uff61" <= char <= "\uff9f" for char in high) / len(high)
    elif encoding == "cp949":
        likely = sum("\uac00" <= char <= "\ud7a3" for char in high) / len(high)
        frequent = sum(char in "이다는을의가에하고지기사를도로은한어나시인대자아정" for char in high) / len(high)
        likely = min(likely, 4 * frequent)
    else:
        likely = 3.0 * sum(char in _HAN for char in high) / len(high)
    return 5 * wrong + max(0.0, 1.0 - likely)
