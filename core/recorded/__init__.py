"""The recorded example: one finished comparison that comes with Thaw and opens without network, weights or waiting.

It is made by a command from runs that were really trained (`pack`) and opens as a workspace of its own, the same for
everybody, in which nothing can be changed (`unpack`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core import values
from core.domain.device import Device

WORKSPACE = "recorded-example"
"""Its workspace: no secret, since everybody may open it."""
ARCHIVE = Path(__file__).with_name("example.tar.xz")
CARD = Path(__file__).with_name("example.json")
DATABASE, FEATURES, NO_TEXTS = "database.json", "features.npz", "no-texts"
"""Members of the archive that are not in the form of a data folder: rows of the database, compact features, and the
mark of a dataset whose texts are not in the archive."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one run of the example reached on the test rows."""

    run: str
    label: str
    """Of its method."""
    colour_index: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One block of a run, before and after, as measured: what the home page shows."""

    label: str
    """Of the run's method."""
    block: str
    classes: tuple[str, ...]
    labels: tuple[int, ...]
    """Index into `classes`, one a row."""
    before: tuple[tuple[float, float], ...]
    after: tuple[tuple[float, float], ...]
    """Positions of the same rows on one map."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What the example is, without opening it."""

    title: str
    dataset: str
    """Catalogue id."""
    model: str
    """Catalogue id."""
    experiment: str
    runs: tuple[str, ...]
    effort: str
    made: float
    """Unix time at which its last run ended."""
    machine: Device
    version: str
    """Of Thaw."""
    seconds: float
    """That its runs took, one after another."""
    directions: int
    """That are kept of each block's features."""
    captured: tuple[float, float]
    """Share of their variance that these hold: of the block with the least, and with the most."""
    metric: str
    scores: tuple[Score, ...]
    picture: Picture
    schema_version: int = 1


def card() -> Card | None:
    """The card of the example that comes with Thaw; None where none does."""
    return values.read(CARD, Card) if ARCHIVE.is_file() else None
