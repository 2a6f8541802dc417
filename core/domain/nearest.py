"""The training rows nearest to an input, and whether it is unlike all of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Near:
    """A training row."""

    row_id: int
    content: str
    """Its text, or the path of its picture."""
    picture: bool = False
    label: str
    distance: float
    """Cosine distance to the input in the features that the head sees: 0 = the same direction."""


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """What a model's training rows say of an input."""

    distance: float
    """To the fifth nearest."""
    rows: tuple[Near, ...] = ()
    """The nearest first."""
    compared: int = 0
    """Training rows that were looked at, drawn at random where there are more."""
    trained_on: int = 0
    """Training rows that there are."""
    limit: float | None = None
    """95 in 100 validation rows lie nearer; None where there were too few to say."""
    false_alarms: float | None = None
    """Share of test rows beyond the limit."""

    @property
    def unlike(self) -> bool | None:
        """Whether the input lies farther than 95 in 100 validation rows; None where that cannot be said."""
        return None if self.limit is None else self.distance > self.limit
