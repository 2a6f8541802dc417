"""Checks of the texts themselves: length against the model's limit, very long cells, rows left out."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from core.data.checks.context import Context
from core.data.report import INFO, WARNING, Finding, several
from core.data.source import HIDDEN

_SAMPLE = 2_000
_CHARS_PER_TOKEN = 4.5
"""English text under a WordPiece vocabulary; the estimate when no tokenizer is at hand."""
_LONG_CHARS = 20_000
_SHORT_CHARS = 3
_CODE = re.compile(r"&(?:#\d{2,6}|#[xX][0-9a-fA-F]{2,5}|amp|lt|gt|quot|nbsp|apos|pound|euro|copy|mdash|ndash|hellip);")


def length(context: Context) -> Iterator[Finding]:
    """How long the texts are in tokens, and how many are cut."""
    if not len(context.rows):
        return
    step = max(1, len(context.texts) // _SAMPLE)
    sample = list(context.texts[::step])
    tokens = np.asarray(_count_tokens(sample, context.tokenizer))
    exactly = "" if context.tokenizer else "about "
    share = float((tokens > context.max_length).mean())
    half, most = (int(np.percentile(tokens, q)) for q in (50, 95))
    cut = (f"; {share:.0%} are longer than {context.max_length} tokens and are cut there" if share
           else f"; all fit in {context.max_length}")
    yield Finding(code="length", severity=WARNING if share > 0.5 else INFO, count=round(share * len(context.texts)),
                  message=f"Half of the texts have {exactly}{half:,} tokens or more, one in twenty has "
                          f"{most:,} or more{cut}.",
                  remedy="Nothing to do where the beginning tells the class; otherwise choose a greater length or "
                         "shorten the texts.")


def _count_tokens(texts: Sequence[str], tokenizer: Path | None) -> list[int]:
    """Tokens of each text, with the special ones; an estimate from the characters without a tokenizer."""
    if tokenizer is None:
        return [round(len(text) / _CHARS_PER_TOKEN) + 2 for text in texts]
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(tokenizer))
    loaded.no_truncation()
    loaded.no_padding()
    return [len(encoding.ids) for encoding in loaded.encode_batch([text[:100_000] for text in texts])]


def extremes(context: Context) -> Iterator[Finding]:
    """Cells so long or so short that something may have gone wrong on export."""
    chars = np.asarray([len(text) for text in context.texts], dtype=np.int64)
    long = np.flatnonzero(chars > _LONG_CHARS)
    short = np.flatnonzero(chars < _SHORT_CHARS)
    have, longest = ("text has", "texts have"), chars.max(initial=0)
    yield from context.about(
        long, "very-long-texts", have, f"more than {_LONG_CHARS:,} characters (the longest has {longest:,}).",
        remedy="Look whether several rows were joined by mistake; a model reads only the beginning of them.")
    yield from context.about(short, "very-short-texts", have, f"fewer than {_SHORT_CHARS} characters.", severity=INFO,
                             remedy="Look whether they mean anything; leave them out if not.")


def codes(context: Context) -> Iterator[Finding]:
    """Signs written as HTML writes them, left over from a page: a model reads the code, not the sign."""
    hits = [found[0] if (found := _CODE.search(text)) else "" for text in context.texts]
    rows = np.flatnonzero(np.asarray([bool(hit) for hit in hits], dtype=bool))
    example = ", ".join(f"{code} for {html.unescape(code)!r}" for code, _ in Counter(filter(None, hits)).most_common(3))
    yield from context.about(
        rows, "html-codes", ("text holds", "texts hold"), "signs written as HTML codes.", severity=INFO,
        example=example, remedy="They are kept as they are, and the model reads them so: write the signs in the file "
                                "and import it again, or go on; texts for prediction should then be written alike.")


def twice_encoded(context: Context) -> Iterator[Finding]:
    """Texts in UTF-8 that a program once read as Windows-1252: `StraÃŸe` for Straße."""
    hits = [_twice(text) for text in context.texts]
    rows = np.flatnonzero(np.asarray([bool(hit) for hit in hits], dtype=bool))
    example = ", ".join(f"{was!r} for {meant!r}" for (was, meant), _ in Counter(filter(None, hits)).most_common(3))
    yield from context.about(
        rows, "twice-encoded", ("text holds", "texts hold"), "letters that were encoded twice.", severity=INFO,
        example=example, remedy="They are kept as they are, and the model reads them so: export the texts again as "
                                "UTF-8 where they come from, or mend them (the Python package ftfy does).")


_HIGH = "[\x80-\xbf" + "".join(sorted({bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xa0)})) + "]"
_TWICE = re.compile(f"[\xc3-\xdf]{_HIGH}|\xc2[\xa0-\xbf]|[\xe0-\xef]{_HIGH}{{2}}|[\xf0-\xf4]{_HIGH}{{3}}")
"""A character in UTF-8, its bytes read as Windows-1252."""


def _twice(text: str) -> tuple[str, str] | None:
    """(what stands there, what was meant) of the first letters that were encoded twice; None where there are none."""
    for found in _TWICE.finditer(text):
        try:
            return found[0], found[0].encode("cp1252").decode("utf-8")
        except UnicodeError:
            continue
    return None


def left_out(context: Context) -> Iterator[Finding]:
    """Rows left out, by reason."""
    counts = Counter(item.reason for item in context.rows.left_out)
    for reason, count in counts.most_common(10):
        items = [item for item in context.rows.left_out if item.reason == reason][:5]
        of_programs = reason == HIDDEN
        yield Finding(code="left-out", severity=INFO if of_programs else WARNING, count=count,
                      rows=tuple(item.row for item in items), example=items[0].file,
                      message=several(count, "row was", "rows were") + f" left out: {reason}.",
                      remedy="Nothing to do." if of_programs else
                             "Mend these rows in the file and import it again, or go on without them.")
