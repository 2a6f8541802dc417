"""The registry of lessons. A new lesson is one file in this folder and one line here; its stored result is made by
`python -m core lesson NAME --out DIR --store`."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import NotFoundError
from core.lessons.base import Expected, Guess, Held, Lesson, held, score, sentence

FILES = (
    "transfer",
    "layers",
    "labels",
    "lora_and_full",
    "four_bits",
    "distortion",
    "forgetting",
    "no_help",
)
"""Lessons in the order in which they are taught: a file of that name each, with its `LESSON`."""

REGISTRY: dict[str, Lesson] = {
    lesson.name: lesson for lesson in (import_module(f"{__name__}.{name}").LESSON for name in FILES)}
STORED = Path(__file__).parent / "stored"


def get(name: str) -> Lesson:
    """The lesson of that name; raises NotFoundError naming the known ones."""
    if name not in REGISTRY:
        raise NotFoundError(f"There is no lesson {name!r}.", why=f"Known lessons: {', '.join(REGISTRY)}.",
                            remedy="Choose one of the known lessons.")
    return REGISTRY[name]


@cache
def stored(name: str) -> dict[str, Any] | None:
    """What `python -m core lesson NAME --store` measured: the experiment's document, versions, device and date. None
    where it was not made."""
    file = STORED / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


__all__ = ["FILES", "REGISTRY", "STORED", "Expected", "Guess", "Held", "Lesson", "get", "held", "score", "sentence",
           "stored"]
