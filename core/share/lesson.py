"""A lesson taken home as one HTML file: what was predicted, what came out, what the paper says."""

from __future__ import annotations

from collections.abc import Mapping

from core.lessons import Held, Lesson
from core.plots.numbers import signed
from core.plots.theme import Chart
from core.share.document import Document

SUGGESTS = "The paper suggests"
"""Heads what a lesson expects of two arms."""
RELATIONS = {"better": "is better than", "alike": "is about as good as"}


def make(lesson: Lesson, chart: Chart, *, said: Mapping[str, str], held: tuple[Held, ...] = ()) -> bytes:
    """The file. said: heading -> sentence, in order, below the chart. It holds no rows and names no workspace."""
    document = Document(lesson.title)
    for part in lesson.text.split("\n\n"):
        document.paragraph(" ".join(part.replace("*", "").split()))
    document.heading(lesson.asks)
    document.chart(chart)
    for heading, sentence in said.items():
        document.heading(heading)
        document.paragraph(sentence)
    document.heading("What the paper says")
    document.paragraph(lesson.claim)
    document.paragraph(lesson.source, kind="note")
    document.table([{SUGGESTS: f"{each.a} {RELATIONS[each.relation]} {each.b} on {each.split} rows",
                     "Difference": signed(each.difference.value, 3),
                     "95 % interval": f"{signed(each.difference.low, 3)} to {signed(each.difference.high, 3)}",
                     "This miniature": each.verdict} for each in held], caption="The claim beside this measurement")
    document.heading("Look for")
    document.list(lesson.look_for)
    return document.bytes()
