"""Conversations in plain text files: DailyDialog's (one a line, `__eou__` behind each turn), PersonaChat's as ParlAI
numbers their turns, and those of Cornell's films, which two files tell together."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.data import encodings
from core.data.archive import UNREADABLE
from core.data.readers import folders, json_rows, marked_turns
from core.data.readers.json_shapes import Item
from core.data.readers.table import Table
from core.data.several_files import split_of
from core.data.source import Source
from core.errors import DataError

_END_OF_TURN, _FIELDS, _PERSONA = "__eou__", "+++$+++", "your persona:"
_MARKS = ("[INST]", "### Human:", "### Assistant:", "<|im_start|>", "ASSISTANT:")
"""Of these, one is in each line of a text with a conversation a line."""
_SAMPLE = 50
_NUMBERED = re.compile(r"(\d+) (.*)")
_MOST_FILES, _HEAD_BYTES = 30, 1 << 14
_LINES, _TALKS = "movie_lines.txt", "movie_conversations.txt"


def are_spoken(start: bytes) -> bool:
    """Whether a text file that begins like this may hold conversations in one of these ways."""
    return any(mark.encode() in start for mark in (_END_OF_TURN, f" {_FIELDS} ", _PERSONA, *_MARKS))


def read(path: Path, *, max_rows: int) -> Table | None:
    """A row with `messages` a conversation; None where the lines are not written so. Raises DataError for film lines
    alone."""
    encoding = encodings.detect(path)
    text = path.read_text(encoding=encoding.name, errors=encoding.errors).removeprefix("\ufeff")
    lines = [line.strip("\r ") for line in text.split("\n") if line.strip()]
    if _share(_FIELDS in line for line in lines) > 0.5:
        raise DataError(f"{path.name} holds lines of films, not conversations.",
                        why=f"Its fields are parted by {_FIELDS}; which lines answer each other stands in {_TALKS}.",
                        remedy=f"Import the whole archive, or a ZIP with {_LINES} and {_TALKS}.")
    if len(lines) > 1 and _share(marked_turns.turns_of(line) is not None for line in lines[:_SAMPLE]) > 0.9:
        return json_rows.collect((({"text": line}, "") for line in lines), name=path.name, max_rows=max_rows,
                                 format=f"Text with a conversation a line, {encoding.name}")
    if _share(line.rstrip().endswith(_END_OF_TURN) for line in lines) > 0.5:
        items, what = _dialogs(lines), "a dialog a line"
    elif _share(_NUMBERED.match(line) is not None for line in lines) > 0.9:
        items, what = _episodes(lines), "numbered turns"
    else:
        return None
    return json_rows.collect(items, name=path.name, max_rows=max_rows, format=f"Text with {what}, {encoding.name}")


def dialogs_of(source: Source) -> tuple[tuple[str, str], ...]:
    """(file, split or "") of the files with a dialog a line, in an archive of a few text files; those of the splits
    where there are such."""
    texts = [name for name in source.files if folders.is_text(name)]
    if not texts or len(texts) > _MOST_FILES or len(texts) < len(source.files) / 2:
        return ()
    found = [(name, split_of(name)) for name in texts if _begins_with_dialogs(source, name)]
    order = ("train", "validation", "test", "shift")
    named = sorted((part for part in found if part[1]), key=lambda part: order.index(part[1]))
    return tuple(named if any(split == "train" for _, split in named) else [(name, "") for name, _ in found])


def _begins_with_dialogs(source: Source, name: str) -> bool:
    try:
        with source.local(name).open("rb") as file:
            lines = file.read(_HEAD_BYTES).split(b"\n")[:-1]
    except (DataError, *UNREADABLE):                                 # whoever reads the file says so
        return False
    return _share(line.rstrip().endswith(_END_OF_TURN.encode()) for line in lines) > 0.5


def _share(found: Iterable[bool]) -> float:
    seen = list(found)
    return sum(seen) / max(1, len(seen))


def _turns(said: Iterable[str]) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(said)]


def _dialogs(lines: Iterable[str]) -> Iterator[Item]:
    for line in lines:
        yield {"messages": _turns(turn.strip() for turn in line.split(_END_OF_TURN) if turn.strip())}, ""


def _episodes(lines: Iterable[str]) -> Iterator[Item]:
    """Conversations whose turns are numbered from 1: `3 question<tab>answer<tab><tab>candidates`; personas are told to
    the system."""
    system: list[str] = []
    said: list[str] = []
    for line in lines:
        if (match := _NUMBERED.match(line)) is None:
            yield None, "its line has no number"
            continue
        if match[1] == "1" and (said or system):
            yield _episode(system, said)
            system, said = [], []
        if _PERSONA in match[2].partition("\t")[0]:
            system.append(match[2].strip())
        else:
            said += match[2].split("\t")[:2]
    yield _episode(system, said)


def _episode(system: list[str], said: list[str]) -> Item:
    first = [{"role": "system", "content": "\n".join(system)}] if system else []
    return {"messages": [*first, *_turns(said)]}, ""


# -- film lines --------------------------------------------------------------------------------------------------------


def read_films(source: Source, *, max_rows: int) -> Table | None:
    """Cornell's conversations of films: each is a row, with its film as `document`; None for other archives."""
    names = {name.rpartition("/")[2]: name for name in source.files}
    if not {_LINES, _TALKS} <= names.keys():
        return None
    lines = {fields[0]: (fields[1], fields[-1]) for fields in _fields(source, names[_LINES]) if len(fields) > 2}
    items = (_film_talk(fields, lines) for fields in _fields(source, names[_TALKS]) if len(fields) > 2)
    return json_rows.collect(items, name=source.name, max_rows=max_rows, format="Conversations of films")


def _fields(source: Source, name: str) -> list[list[str]]:
    try:
        text = folders.decode(source.read(name))
    except UNREADABLE as error:
        raise DataError(f"{name} in {source.name} cannot be read.", why=f"It is damaged ({str(error)[:80]}).",
                        remedy="Download the archive again.") from error
    return [[field.strip() for field in line.split(_FIELDS)] for line in text.split("\n") if line.strip()]


def _film_talk(fields: list[str], lines: dict[str, tuple[str, str]]) -> Item:
    """A conversation; lines that one side says in a row are one turn."""
    try:
        numbers = [str(number) for number in ast.literal_eval(fields[-1])]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None, "it does not list its lines"
    if missing := [number for number in numbers if number not in lines]:
        return None, f"its line {missing[0][:20]!r} is not in {_LINES}"
    turns: list[dict[str, Any]] = []
    for number in numbers:
        speaker, text = lines[number]
        if turns and turns[-1]["speaker"] == speaker:
            turns[-1]["content"] += f"\n{text}"
        else:
            turns.append({"speaker": speaker, "content": text})
    said = _turns(turn["content"] for turn in turns)
    return {"document": fields[-2], "messages": said}, ""
