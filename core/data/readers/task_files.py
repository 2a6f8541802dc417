"""JSON documents of a task for language models: questions about texts (SQuAD), instances of an instruction (Natural
Instructions)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.data.readers.json_shapes import Item


def of_task(whole: Mapping[str, Any]) -> tuple[Iterable[Item], str] | None:
    """(the rows of a document, what it is); None for other documents, and for those without a row."""
    if isinstance(texts := whole.get("data"), list) and next(_questions(texts), None) is not None:
        return _questions(texts), "JSON of SQuAD"
    definition, found = whole.get("Definition"), whole.get("Instances")
    if isinstance(found, list) and found and definition and all(isinstance(item, dict) for item in found):
        return _instances("\n".join(map(str, definition)) if isinstance(definition, list) else str(definition),
                          found), "JSON of Natural Instructions"
    return None


def _questions(texts: Iterable[Any]) -> Iterator[Item]:
    """A row a question, with the text that it is about."""
    for text in texts:
        for paragraph in _objects(text, "paragraphs"):
            for asked in _objects(paragraph, "qas"):
                yield {"id": asked.get("id"), "title": text.get("title"), "context": paragraph.get("context"),
                       "question": asked.get("question"), "answers": asked.get("answers")
                       if isinstance(asked.get("answers"), list) else []}, ""


def _objects(value: Any, key: str) -> list[dict[str, Any]]:
    found = value.get(key) if isinstance(value, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _instances(definition: str, found: Iterable[Mapping[str, Any]]) -> Iterator[Item]:
    for item in found:
        given = item.get("output")
        yield {"id": item.get("id"), "definition": definition, "input": item.get("input"),
               "answers": given if isinstance(given, list) else [given] if isinstance(given, str) else []}, ""
