"""Experiments as values: arms that differ in what is asked about, seeds, learning rates, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.domain.recipe import Recipe
from core.domain.run import Interval

USUAL_RATE = 1.0


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One recipe of an experiment, its seed left open."""

    name: str
    """Unique within the experiment; also part of folder names: letters, digits, `-`, `.`."""
    label: str
    """What sentences and charts call it."""
    recipe: Recipe
    """With seed 0."""
    x: float | None = None
    """Where it stands on the axis of an ordered design: blocks thawed, labels, factor of the rate."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is asked, and everything that decides its runs."""

    design: str
    """Registry name in `core.planning.designs`."""
    dataset: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    rates: tuple[float, ...] = (USUAL_RATE,)
    """Factors on each arm's own learning rates. Every arm runs with each; which one stands for it is chosen on
    validation rows."""
    taken: tuple[str, ...] = ()
    """Ids of runs that were there before and take part instead of being repeated."""
    schema_version: int = 1

    @property
    def runs(self) -> int:
        return len(self.arms) * len(self.seeds) * len(self.rates)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One run of an experiment."""

    arm: str
    seed: int
    rate: float
    recipe: Recipe

    @property
    def name(self) -> str:
        """Of its folder."""
        rate = "" if self.rate == USUAL_RATE else f"-rate{self.rate:g}"
        return f"{self.arm}{rate}-seed{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an experiment says, as far as its numbers support it."""

    sentence: str
    value: float | None = None
    """The number the question is about; None where there is none to give."""
    low: float | None = None
    high: float | None = None
    details: dict[str, object] = field(default_factory=dict)
    """What the sentence was made of, for programs."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two arms on the same rows."""

    a: str
    b: str
    difference: Interval
    """The metric of A minus that of B."""
    p_adjusted: float
    """After Holm's correction over all that are shown together."""
    verdict: str
    """Of A: `better`, `worse`, or `cannot tell`."""
    more_seeds: int | None
    """How many further seeds would likely find a difference of this size; None where it is found, or none would."""
    more_rows: int | None
