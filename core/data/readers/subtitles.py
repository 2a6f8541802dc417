"""Subtitles (`.srt`, `.vtt`, `.ass`, `.ssa`): what is said, without numbers, times and marks of form."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from core.data import encodings
from core.data.readers.table import RowBuilder, Table

ENDINGS = (".srt", ".vtt", ".ass", ".ssa")
_CLOCK = r"(?:\d{1,3}:)?\d{1,2}:\d{1,2}(?:[.,]\d{1,3})?"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
_FORM = re.compile(r"</?[a-zA-Z][^<>\n]{0,200}>|<\d[\d:.]{0,20}>|\{\\[^{}\n]{0,200}\}|\{[a-zA-Z]:[^{}\n]{0,200}\}")
"""Tags such as `<i>`, times inside a line, and what SubStation writes (`{\\an8}`)."""
_EVENT, _FIELDS = re.compile(r"Dialogue:\s*(.*)"), re.compile(r"Format:\s*(.*)")
"""Lines of SubStation: what is said, and in which order its fields stand."""
_BREAKS = re.compile(r"\\[Nnh]")
_EVENTS, _DRAWN = "[events]", re.compile(r"\{[^{}]*\\p[1-9]")
"""The part with what is said; the mark of a shape that is drawn by letters."""
_ASIDE = re.compile(r"(NOTE|STYLE|REGION)\b")


def text_of(text: str) -> str:
    """What is said, a cue a line; the text as it is where it has no times."""
    cues = _said_in(text.split("\n"))
    return text if cues is None else "\n".join(cues)


def read(path: Path, *, max_rows: int) -> Table | None:
    """A row a cue; `documents` holds the whole file. None where the file has no times."""
    encoding = encodings.detect(path)
    lines = path.read_text(encoding=encoding.name, errors=encoding.errors).removeprefix("\ufeff").split("\n")
    if (cues := _said_in(lines)) is None:
        return None
    rows, whole = (RowBuilder(["text"], max_rows=max_rows, name=path.name) for _ in range(2))
    for cue in cues:
        rows.add([cue])
    if cues:
        whole.add(["\n".join(cues)])
    return replace(rows.table(format=f"Subtitles, one row a cue, {encoding.name}"),
                   documents=whole.table(format=f"Subtitles, one document, {encoding.name}"))


def _said_in(lines: Sequence[str]) -> list[str] | None:
    """The text of each cue, in whatever way the file is written; None where it is none of subtitles."""
    if any(map(_TIMES.fullmatch, map(str.rstrip, lines))):
        return list(_cues(lines))
    return list(_events(lines)) if any(line.strip().lower() == _EVENTS for line in lines) else None


def _events(lines: Sequence[str]) -> Iterator[str]:
    """The text of each line of SubStation in the order of their times; remarks and drawings are none, and what several
    layers show at once comes once."""
    names: list[str] = []
    found: list[tuple[str, str]] = []
    for line in lines[[line.strip().lower() for line in lines].index(_EVENTS):]:
        if match := _FIELDS.match(line):
            names = [name.strip().lower() for name in match[1].split(",")]
        elif names and (match := _EVENT.match(line)):
            fields = dict(zip(names, match[1].rstrip().split(",", len(names) - 1), strict=False))
            said = fields.get("text", "")
            if not _DRAWN.search(said) and (text := _plain(said)):
                found.append((fields.get("start", "").strip().zfill(11), text))
    seen: tuple[str, str] | None = None
    for event in sorted(found, key=lambda event: event[0]):
        if event != seen:
            yield event[1]
        seen = event


def _cues(lines: Sequence[str]) -> Iterator[str]:
    """The text of each cue on one line; lines that stay on the screen from one cue to the next come once."""
    lines = [line.rstrip() for line in lines]
    starts = [place for place, line in enumerate(lines) if _TIMES.fullmatch(line)]
    before: list[str] = []
    for start, end in zip(starts, [*starts[1:], len(lines) + 1], strict=True):
        said = [plain for line in _said(lines[start + 1:end - 1], lines[end - 1:end]) if (plain := _plain(line))]
        new = said
        for shared in range(min(len(before), len(said)), 0, -1):
            if before[-shared:] == said[:shared]:
                new = said[shared:]
                break
        if said:
            before = said
        if new:
            yield " ".join(new)


def _said(lines: Sequence[str], last: Sequence[str]) -> Iterator[str]:
    """The lines below a time, but remarks and styles, and the number or name above the next time (`last`)."""
    named = last and last[0].strip() and (last[0].strip().isdigit() or (lines and not lines[-1].strip()))
    aside = False
    for place, line in enumerate([*lines, *([] if named else last)]):
        if not line.strip():
            aside = False
        elif _ASIDE.match(line) and place and not lines[place - 1].strip():
            aside = True
        elif not aside:
            yield line


def _plain(line: str) -> str:
    return " ".join(html.unescape(_BREAKS.sub(" ", _FORM.sub("", line))).split())
