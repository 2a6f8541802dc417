"""Sets of texts with a class that are no tables: training data of Rasa (YAML, Markdown, JSON), SNIPS's texts in pieces,
and texts on whose class several people voted (HateXplain)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data import encodings
from core.data.readers.table import RowBuilder, Table
from core.data.report import INFO, Finding, several

if TYPE_CHECKING:
    from core.data.readers.json_shapes import Item

YAML, MARKDOWN = (".yml", ".yaml"), (".md",)
_BEGINS = 1 << 16
_NLU = re.compile(r"^nlu:\s*$", re.MULTILINE)
_IN_YAML, _IN_MARKDOWN = re.compile(r"\s*-\s+intent:\s*(\S.*)"), re.compile(r"##\s*intent:\s*(\S.*)")
_OTHER = re.compile(r"\s*-\s+(synonym|regex|lookup):|##\s*(synonym|regex|lookup)\b")
"""Lists that help to find names, and are no examples."""
_PART = re.compile(r"(##\s)|(\w+):")
"""What ends the examples of an intent, and in YAML begins a part of the file."""
_EXAMPLE, _BELOW = re.compile(r"\s*[-*]\s+(?:text:\s+(?=[^\s|>]))?(\S.*)"), re.compile(r"\s*-\s+text:\s*[|>]?-?")
"""An example, also with the key `text`; the latter's text may be a line below."""
_ENTITY = re.compile(r"\[([^][]{1,500})\](?:\([^()]{0,500}\)|\{[^{}]{0,500}\})")
"""A name inside an example with what it is: `[Berlin](city)`, `[Oslo]{"entity": "city"}`."""


def is_nlu(path: Path) -> bool:
    """Whether a file is training data of Rasa: intents with their examples."""
    with path.open("rb") as file:
        start = file.read(_BEGINS).decode("utf-8", "replace").replace("\r\n", "\n")
    lines = start.split("\n")
    if path.suffix.lower() in MARKDOWN:
        return any(map(_IN_MARKDOWN.fullmatch, lines))
    return _NLU.search(start) is not None and any(map(_IN_YAML.fullmatch, lines))


def read(path: Path, *, max_rows: int) -> Table:
    """A row an example with its intent as label; names inside it are plain words. Synonyms, patterns and the like are
    no examples. Raises DataError above `max_rows`."""
    encoding = encodings.detect(path)
    builder = RowBuilder(("text", "label"), max_rows=max_rows, name=path.name)
    yaml = path.suffix.lower() in YAML
    intent, inside, below, others = "", not yaml, False, 0
    for line in path.read_text(encoding=encoding.name, errors=encoding.errors).removeprefix("\ufeff").split("\n"):
        line = line.rstrip()
        text = ""
        if found := (_IN_YAML if yaml else _IN_MARKDOWN).fullmatch(line):
            intent = found[1].partition(" #")[0].strip("\"' ") if inside else ""
        elif _OTHER.match(line):
            intent, others = "", others + inside
        elif found := _PART.match(line):
            intent, inside = "", not yaml or found[2] == "nlu"
        elif _BELOW.fullmatch(line):
            below = True
            continue
        elif below and line.strip():
            text = line.strip()
        elif example := _EXAMPLE.fullmatch(line):
            text = example[1]
        below = below and not line.strip()
        if intent and text:
            builder.add([_ENTITY.sub(r"\1", text).strip(), intent])
    return builder.table(format=f"Intents of Rasa, {encoding.name}", findings=[_not_examples(others)] if others else [])


def _not_examples(count: int) -> Finding:
    said = several(count, "list of synonyms, patterns or words was", "lists of synonyms, patterns or words were")
    return Finding(code="not-examples", severity=INFO, count=count, message=f"{said} not read: they have no intent.",
                   remedy="Nothing to do.")


# -- JSON --------------------------------------------------------------------------------------------------------------


def of_intents(whole: Mapping[str, Any]) -> tuple[Iterable[Item], str] | None:
    """(the rows of a document, what it is); None for other documents, and for those without a row."""
    data = whole.get("rasa_nlu_data")
    if isinstance(data, dict) and isinstance(found := data.get("common_examples"), list) and found:
        return _examples(found), "JSON of Rasa"
    parts = [item for texts in whole.values() for item in (texts if isinstance(texts, list) else [None])]
    if parts and sum(map(_is_in_pieces, parts)) > len(parts) / 2:
        return ((_joined(item, intent) for intent, texts in whole.items() if isinstance(texts, list)
                 for item in texts), "JSON of texts in pieces, one list a class")
    if whole and sum(map(_is_voted, whole.values())) > len(whole) / 2:
        return (_voted(key, item) for key, item in whole.items()), "JSON of texts and votes"
    return None


def _examples(found: Iterable[Any]) -> Iterator[Item]:
    for item in found:
        if not isinstance(item, dict) or not isinstance(item.get("text"), str):
            yield None, "it is no example with a text"
        else:
            yield {"text": item["text"], "label": item.get("intent")}, ""


def _is_in_pieces(item: Any) -> bool:
    """Whether an item is a text in pieces, `{"data": [{"text": …}, …]}`."""
    pieces = item.get("data") if isinstance(item, dict) else None
    return isinstance(pieces, list) and bool(pieces) and all(
        isinstance(piece, dict) and isinstance(piece.get("text"), str) for piece in pieces)


def _joined(item: Any, intent: str) -> Item:
    if not _is_in_pieces(item):
        return None, "it is no list of pieces with a text each"
    return {"text": "".join(piece["text"] for piece in item["data"]).strip(), "label": intent}, ""


def _is_voted(item: Any) -> bool:
    """Whether an item is a text in words with the labels of several people."""
    if not isinstance(item, dict):
        return False
    votes, words = item.get("annotators"), item.get("post_tokens", item.get("tokens"))
    return (isinstance(votes, list) and bool(votes)
            and all(isinstance(vote, dict) and "label" in vote for vote in votes)
            and isinstance(words, list) and bool(words) and all(isinstance(word, str) for word in words))


def _voted(key: str, item: Any) -> Item:
    """The text with the label that most gave it; left out where no label has more votes than the others."""
    if not _is_voted(item):
        return None, "it is no text in words with labels"
    (label, most), *others = Counter(str(vote["label"]) for vote in item["annotators"]).most_common()
    if others and others[0][1] == most:
        return None, "its annotators disagree, and no label has most votes"
    return {"id": key, "text": " ".join(item.get("post_tokens") or item["tokens"]), "label": label}, ""
