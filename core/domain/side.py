"""A model to look at or to predict with: that of a run, before, during or after its training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

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
    """How far the trained change is turned up: 0 = not at all, 1 = as trained."""

    @property
    def text(self) -> str:
        """What stands in an address."""
        step = "" if self.step is None else f":{self.step}"
        strength = "" if self.strength == 1.0 else f"@{self.strength:g}"
        return f"{self.run}:{self.which.value}{step}{strength}"

    @staticmethod
    def parse(text: str) -> Side:
        """Inverse of `text`. Raises NotFoundError for anything else."""
        model, _, strength = text.partition("@")
        run, _, rest = model.partition(":")
        which, _, step = rest.partition(":")
        try:
            return Side(run=run, which=Which(which), step=int(step) if step else None,
                        strength=float(strength) if strength else 1.0)
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

    @property
    def folder(self) -> Path:
        """The run's folder, of a side that names its run so."""
        return Path(self.run)

    def check_as_trained(self) -> None:
        """Raises RecipeError where the trained change is to be turned up or down: nothing can load such a model yet."""
        if self.strength != 1.0:
            raise RecipeError(f"Thaw cannot load this model at strength {self.strength:g}.",
                              why="A trained change can only be looked at as it was trained, at strength 1.",
                              remedy="Leave the strength out.")
