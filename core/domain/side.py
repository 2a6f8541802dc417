"""A model to look at or to predict with: that of a run, before, during or after its training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from core.domain import strength as strengths
from core.errors import NotFoundError, RecipeError


class Which(StrEnum):
    """Which model of a run."""

    BASE = "base"
    """The base model as published, read as the run reads it."""
    FOUR_BIT = "4bit"
    """The same in 4 bits, before any training."""
    STEP = "step"
    """As it was at a recorded training step."""
    FINAL = "final"
    """What the run ended with."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One model, named so that features, predictions, pages and addresses mean the same one.

    `Side.parse("ab12:step:40") == Side(run="ab12", which=Which.STEP, step=40)`
    """

    run: str
    """Id of the run in its workspace. Where there is no workspace (files, the command line): the path of the run's
    folder."""
    which: Which = Which.FINAL
    step: int | None = None
    """The recorded training step, for `Which.STEP` only."""
    strength: float = 1.0
    """How far the trained change is turned up: 0 = not at all, 1 = as trained; see `core.domain.strength`."""
    point: str = ""
    """Name of a saved setting of the strength dials; then `strength` stays 1."""

    @property
    def text(self) -> str:
        """What stands in an address."""
        step = "" if self.step is None else f":{self.step}"
        strength = "" if self.strength == 1.0 else f"@{self.strength:g}"
        point = f"@={self.point}" if self.point else ""
        return f"{self.run}:{self.which.value}{step}{strength}{point}"

    @staticmethod
    def parse(text: str) -> Side:
        """Inverse of `text`. Raises NotFoundError for anything else."""
        model, _, strength = text.partition("@")
        run, _, rest = model.partition(":")
        which, _, step = rest.partition(":")
        point = strength.removeprefix("=") if strength.startswith("=") else ""
        try:
            if point and not strengths.NAME.fullmatch(point):
                raise ValueError(point)
            return Side(run=run, which=Which(which), step=int(step) if step else None, point=point,
                        strength=float(strength) if strength and not point else 1.0)
        except ValueError as error:
            raise NotFoundError("This link names no model that Thaw knows.",
                                remedy="Choose the two sides on the Features page.") from error

    @staticmethod
    def of(folder: Path, which: Which = Which.FINAL, step: int | None = None) -> Side:
        """A model of the run in this folder."""
        return Side(run=str(folder), which=which, step=step)

    def at(self, folder: Path | str) -> Side:
        """The same model, its run named by the folder that holds its files."""
        return replace(self, run=str(folder))

    def turned(self, strength: str) -> Side:
        """The same model at a number, or at the setting saved under a name."""
        try:
            return replace(self, strength=float(strength))
        except ValueError:
            return replace(self, point=strength)

    @property
    def folder(self) -> Path:
        """The run's folder, of a side that names its run so."""
        return Path(self.run)

    @property
    def as_trained(self) -> bool:
        """Whether its trained change is neither turned up nor down."""
        return self.strength == 1.0 and not self.point

    def check_as_trained(self) -> None:
        """Raises RecipeError where the trained change is turned up or down: features are made of models as trained."""
        if not self.as_trained:
            at = f"the saved strength {self.point}" if self.point else f"strength {self.strength:g}"
            raise RecipeError(f"Thaw makes no features of this model at {at}.",
                              why="Features are made of models as they were trained, at strength 1.",
                              remedy="Leave the strength out here; the Strength page and predictions follow it.")
