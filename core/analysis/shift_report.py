"""The shift report of two aligned sides and its maps, each computed once and kept in the cache folder for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.analysis import orientation, report_cache
from core.analysis.aligned import AlignedSides
from core.settings import Settings

if TYPE_CHECKING:
    from core.shift.footer import Map
    from core.shift.projection import View
    from core.shift.report import Shift

_MAPS = "turned2"
"""Part of the names of stored maps: those of earlier versions were each turned their own way."""
_A, _B = "{A}", "{B}"
"""Stand for the sides' names in a stored report."""


def of(aligned: AlignedSides, *, settings: Settings, seed: int = 0) -> Shift:
    """Every number: read from the cache, or measured (seconds) and kept there. `named` gives its sides their names."""
    from core.shift.report import measure

    return report_cache.shift(folder_of(aligned, settings=settings, seed=seed),
                              lambda: measure(aligned.features, run=_B, base=_A, seed=seed))


def is_kept(aligned: AlignedSides, *, settings: Settings, seed: int = 0) -> bool:
    """Whether `of` would find its numbers in the cache."""
    return report_cache.has_shift(folder_of(aligned, settings=settings, seed=seed))


def map_of(aligned: AlignedSides, block: int, *, view: View, settings: Settings, seed: int = 0) -> Map | None:
    """The map of one block in one view, from the cache or drawn and kept there; None where both sides cannot share one
    camera."""
    from core.shift.report import draw
    from core.threads import one_thread

    def make() -> Map | None:
        reference = orientation.of(aligned.base, aligned.features.names[block], settings=settings)
        with one_thread():
            return draw(aligned.features, block, view=view, seed=seed, reference=reference)

    name = f"{view.value}-{_MAPS}-{block}"
    return report_cache.map_of(folder_of(aligned, settings=settings, seed=seed), name, make)


def named(shift: Shift, aligned: AlignedSides, *, a: str, b: str, second: str = "") -> Shift:
    """The report with the names of its sides, and of the second dataset where there is one, in its sentences too."""
    named = replace(shift, base=a, run=b)
    return replace(named, findings=sentences(named, aligned, second=second))


def sentences(shift: Shift, aligned: AlignedSides, *, at: int | None = None, second: str = "") -> tuple[str, ...]:
    """What the numbers say, of block `at` (the last by default) where one is spoken of, with the names of the sides."""
    from core.shift import report

    def sentence(text: str) -> str:
        if second:
            text = text.replace("Shift rows", f"{second} rows").replace("shift rows", f"{second} rows")
        return text[:1].upper() + text[1:]

    found = report.sentences(shift, aligned.features, base=shift.base, run=shift.run, at=at)
    return tuple(map(sentence, found))


def folder_of(aligned: AlignedSides, *, settings: Settings, seed: int = 0) -> Path:
    """Where the report and the maps of two sides are kept."""
    return settings.cache / "shift" / f"{aligned.key}-{seed}"
