"""What a run's folder holds of its strength dials: measured curves, and settings that were saved under a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core import files, values
from core.domain import codec, strength
from core.domain.model import Weights
from core.domain.recipe import Recipe
from core.domain.run import Interval
from core.domain.side import Side, Which
from core.domain.strength import Dial, HeadRule, Turn
from core.errors import NotFoundError, RecipeError
from core.models import methods

CURVES, POINTS = "strength.json", "strength-points.json"
PANEL = "panel"
"""The forgetting panel among the sets that a curve is measured on; the others are called as splits are."""
TUNED = 1.0
SHARES_TAKEN = 2
"""Schema since which a share of the intruder dimensions is the one taken away; before, it was the one that stayed."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One setting on one set of rows."""

    scores: dict[str, Interval]
    """Every metric by name, with its 95 % interval."""
    difference: Interval | None = None
    """By the set's own metric: this setting minus the model as trained on the same rows, with the 95 % interval of a
    paired bootstrap; None at the model as trained itself."""
    clear: bool = False
    """Whether that difference is told from zero: by its interval and, where rows are right or wrong, McNemar's test."""
    sentence: str = ""
    """What it supports saying."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One setting of a dial, measured on every set."""

    at: float
    """Where the dial stands: a strength, a rank, or a share of the intruder dimensions."""
    sets: dict[str, Measured]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A dial turned over its settings; the others as trained."""

    dial: Dial
    blocks: tuple[str, ...]
    """Those that were turned; empty for all."""
    head: HeadRule
    points: tuple[Point, ...]
    """In the order of `at`."""

    @property
    def key(self) -> tuple[Dial, tuple[str, ...], HeadRule]:
        return self.dial, self.blocks, self.head


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The fixed rows of a set."""

    rows: int
    of: int
    """How many the set has."""
    metric: str
    """The metric by which settings are compared on it."""
    made: str = ""
    """What a shift set is called that was made from test rows."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """All that was measured of one run."""

    curves: tuple[Curve, ...]
    samples: dict[str, Sample]
    """`validation`, `test`, `shift`, `panel`: those that there are."""
    head_follows: bool
    """Whether the run kept the base model's solved head, so that the head can be turned."""
    base_in_four_bits: bool
    rank: int | None = None
    """Of its low-rank updates; None where it has none whose rank can be turned."""
    no_intruders: str = ""
    """Why intruder dimensions cannot be taken away; empty where they can."""
    moved: tuple[str, ...] = ()
    """Blocks that training changed."""
    precision: str = ""
    point_seconds: float = 0.0
    """What measuring one more setting took, on average, without the start of a worker."""
    trained_on: tuple[str, ...] = field(default=())
    """Domains of the panel that the run was trained on: they are left out."""
    schema_version: int = SHARES_TAKEN

    @staticmethod
    def upgrade(data: dict[str, Any]) -> dict[str, Any]:
        """Curves over shares that stayed are left out, to be measured again."""
        if data.get("schema_version", 1) >= SHARES_TAKEN:
            return data
        return {**data, "curves": [curve for curve in data["curves"] if curve["dial"] != Dial.INTRUDERS]}

    def find(self, dial: Dial, blocks: tuple[str, ...], head: HeadRule) -> Curve | None:
        return next((curve for curve in self.curves if curve.key == (dial, blocks, head)), None)

    def adding(self, new: Curve) -> Curves:
        """With the points of `new`, which take the place of older ones at the same setting."""
        known = self.find(*new.key)
        points = {point.at: point for point in (*(known.points if known else ()), *new.points)}
        merged = replace(new, points=tuple(points[at] for at in sorted(points)))
        return replace(self, curves=(*(curve for curve in self.curves if curve.key != new.key), merged))


@dataclass(frozen=True, kw_only=True)
class Points:
    """Settings saved under a name."""

    points: dict[str, Turn]
    schema_version: int = SHARES_TAKEN

    @staticmethod
    def upgrade(data: dict[str, Any]) -> dict[str, Any]:
        """A share that stayed becomes the one that is taken away: the same weights."""
        if data.get("schema_version", 1) >= SHARES_TAKEN:
            return data
        points = {name: {**turn, "intruders": 1 - turn["intruders"]} if turn.get("intruders") else turn
                  for name, turn in data["points"].items()}
        return {**data, "points": points}


def read(run_dir: Path) -> Curves | None:
    """What was measured of a run; None where nothing was, or the file is damaged. Raises NewerVersionError."""
    return values.read(run_dir / CURVES, Curves)


def save(run_dir: Path, curves: Curves) -> None:
    """Write what was measured of a run, by rename."""
    files.write_json(run_dir / CURVES, codec.to_json(curves), indent=None)


def points(run_dir: Path) -> Mapping[str, Turn]:
    """The settings that were saved, by name."""
    found = values.read(run_dir / POINTS, Points)
    return {} if found is None else found.points


def save_point(run_dir: Path, name: str, turn: Turn) -> None:
    """Save a setting. Raises RecipeError for a name or a setting that cannot be, and for a name that is taken."""
    turn.check()
    if not strength.NAME.fullmatch(name):
        raise RecipeError(f"A setting cannot be called {name!r}.",
                          why="A name begins with a letter, and has up to 40 letters, digits, spaces, points, - or _.",
                          remedy="Choose another name.")
    known = points(run_dir)
    if known.get(name, turn) != turn:
        raise RecipeError(f"There is another setting called {name} already.", why=f"It is: {known[name].words}.",
                          remedy="Choose another name, or forget the first.")
    files.write_json(run_dir / POINTS, codec.to_json(Points(points={**known, name: turn})))


def remove_point(run_dir: Path, name: str) -> None:
    """Nothing happens where there is none of that name."""
    left = {known: turn for known, turn in points(run_dir).items() if known != name}
    files.write_json(run_dir / POINTS, codec.to_json(Points(points=left)))


def forget(run_dir: Path) -> None:
    """Remove what was measured and saved of a model that another is about to take the place of."""
    for name in (CURVES, POINTS):
        (run_dir / name).unlink(missing_ok=True)


def turn_of(side: Side) -> Turn:
    """The setting of a side whose run is named by its folder.

    Raises RecipeError for one that no model has, NotFoundError for a saved one that is not there.
    """
    if side.as_trained:
        return Turn()
    if side.which is not Which.FINAL:
        raise RecipeError("Only what training ended with can be turned up and down.",
                          why="A base model has no change to turn, and a recorded step kept no weights.",
                          remedy="Leave the strength out, or name the run's own model.")
    if not side.point:
        found = Turn(strength=side.strength)
        found.check()
        return found
    known = points(side.folder)
    if side.point not in known:
        raise NotFoundError(f"This run has no saved strength called {side.point}.",
                            why=f"It has: {', '.join(sorted(known)) or 'none'}.",
                            remedy="Save one on the Strength page, or name a number.")
    return known[side.point]


def refusal(recipe: Recipe) -> str:
    """Why the change of a run cannot be turned; empty where it can."""
    if methods.card_of(recipe.method).weights is Weights.FRESH:
        return ("It started from random weights, which nobody kept: there is no base model to go back to.")
    return ""


def check(recipe: Recipe) -> None:
    """Raises RecipeError for a run whose change cannot be turned."""
    if why := refusal(recipe):
        raise RecipeError("The strength of this run cannot be turned.", why=why,
                          remedy="Turn a run that started from the pretrained weights.")
