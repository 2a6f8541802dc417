"""How far a run's trained change is turned up or down: `W(s) = W_base + s · (W_tuned − W_base)`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from core.domain.freeze import HEAD
from core.errors import RecipeError

LOWEST, HIGHEST = -0.5, 1.5
"""Strengths that can be asked for: 0 is the base model, 1 the tuned one, more goes on in the same direction."""
NAME = re.compile(r"[A-Za-z][\w .-]{0,39}")
"""What a saved strength may be called."""


class HeadRule(StrEnum):
    """What becomes of the head while the body is turned."""

    FOLLOWS = "follows"
    """From the head solved on the base model's features to the trained one, as the body goes. Where a run kept no
    solved head, the trained one stays."""
    FIXED = "fixed"
    """The trained head throughout."""


class Dial(StrEnum):
    """What of a trained change is turned."""

    STRENGTH = "strength"
    RANK = "rank"
    """How many of the strongest directions of each low-rank update are kept (its truncated singular value
    decomposition)."""
    INTRUDERS = "intruders"
    """The share of the intruder dimensions that is taken away (Shuttleworth et al. 2024, arXiv 2410.21228)."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One setting of the dials; `Turn()` is the model as it was trained."""

    strength: float = 1.0
    blocks: tuple[str, ...] = ()
    """Blocks whose change is turned, the others stay as they were trained; empty: all of them and the head."""
    head: HeadRule = HeadRule.FOLLOWS
    rank: int | None = None
    """None: every direction."""
    intruders: float = 0.0

    @property
    def as_trained(self) -> bool:
        return self.strength == 1.0 and self.rank is None and self.intruders == 0.0

    @property
    def words(self) -> str:
        """`strength 0.75, block 3 only`."""
        parts = [f"strength {self.strength:g}" if self.strength != 1 else "",
                 f"rank {self.rank}" if self.rank is not None else "",
                 f"without {self.intruders:.0%} of the intruder dimensions" if self.intruders else "",
                 f"{', '.join(self.blocks)} only" if self.blocks else "",
                 "with the trained head" if self.head is HeadRule.FIXED else ""]
        return ", ".join(part for part in parts if part) or "as trained"

    def of_block(self, name: str) -> float:
        """The strength of a block's change (`head`: of the head's)."""
        if name == HEAD and self.head is HeadRule.FIXED:
            return 1.0
        return self.strength if not self.blocks or name in self.blocks else 1.0

    def check(self) -> None:
        """Raises RecipeError for a setting that no model has."""
        if not LOWEST <= self.strength <= HIGHEST:  # NaN too
            raise RecipeError(f"There is no model at strength {self.strength:g}.",
                              why=f"A trained change can be turned from {LOWEST:g} to {HIGHEST:g}: 0 is the base "
                                  "model, 1 the model as it was trained.", remedy="Choose a strength in between.")
        if self.rank is not None and self.rank < 1:
            raise RecipeError(f"An update cannot have the rank {self.rank}.", why="It keeps one direction at least.",
                              remedy="Choose a rank from 1 to the one that was trained, or the strength 0.")
        if not 0 <= self.intruders <= 1:
            raise RecipeError(f"The share {self.intruders:g} of the intruder dimensions cannot be taken away.",
                              why="It goes from 0, none of them, to 1, all.", remedy="Choose a share in between.")


def at(dial: Dial, value: float, *, blocks: tuple[str, ...] = (), head: HeadRule = HeadRule.FOLLOWS) -> Turn:
    """The setting where one dial stands at this value and the others as trained."""
    if dial is Dial.RANK:
        return Turn(rank=int(value))
    if dial is Dial.INTRUDERS:
        return Turn(intruders=value)
    return Turn(strength=value, blocks=blocks, head=head)
