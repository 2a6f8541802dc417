"""Which language a text is in, told from its script and its most frequent words: a guess for a report, no more.

Good for prose of a few lines; short rows, code and lists stay untold. A language identifier would know more languages,
but is a model of its own to download.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_SCRIPTS = {"CYRILLIC": "Cyrillic", "ARABIC": "Arabic", "HEBREW": "Hebrew", "DEVANAGARI": "Devanagari",
            "GREEK": "Greek", "HANGUL": "Korean", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "CJK": "Chinese",
            "THAI": "Thai", "BENGALI": "Bengali", "TAMIL": "Tamil", "GEORGIAN": "Georgian", "ARMENIAN": "Armenian"}
"""First word of a letter's Unicode name -> what a text of such letters is called."""
_WORDS = {
    "English": "the and of to in is that it was for with he his as on you are not be this she her they from have",
    "German": "der die und das ist nicht ein eine zu den mit sich auf für von dem des es ich sie auch wird im er",
    "French": "le la les et des est une un dans que qui pour pas sur du au avec il elle ce ne sont nous vous",
    "Spanish": "el la los las de que y en un una por con no para es se del como su más pero fue está",
    "Italian": "il di che e la un una non per è sono del con si da nel della le gli ma come più questo",
    "Portuguese": "o a os as de que e do da em um uma não para com é por se no na mais foi como dos",
    "Dutch": "de het een en van is dat niet op te in zijn voor met die er aan ook maar als hij werd was",
}
_FREQUENT = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_CHARS, _LEAST_LETTERS, _LEAST_HITS, _CLEARLY = 1_000, 12, 3, 1.3


def guess(text: str) -> str:
    """The language (or script) of a text; empty where it cannot be told."""
    text = text[:_CHARS]
    letters = [letter for letter in text if letter.isalpha()]
    if len(letters) < _LEAST_LETTERS:
        return ""
    if sum(letter.isascii() for letter in letters) < len(letters) / 2:
        scripts = Counter(unicodedata.name(letter, "").split(" ", 1)[0].split("-")[0] for letter in letters)
        if scripts["HIRAGANA"] + scripts["KATAKANA"] > 0.1 * len(letters):
            return "Japanese"
        return _SCRIPTS.get(scripts.most_common(1)[0][0], "")
    words = re.findall(r"[^\W\d_]+", text.casefold())
    hits = sorted(((sum(word in frequent for word in words), name) for name, frequent in _FREQUENT.items()),
                  reverse=True)
    return hits[0][1] if hits[0][0] >= _LEAST_HITS and hits[0][0] >= _CLEARLY * hits[1][0] else ""
