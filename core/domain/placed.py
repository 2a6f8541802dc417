"""Where an input lies on the map of a run's rows, as one model sees both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An input projected with the map's own axes, and the rows of the map nearest to it."""

    x: float
    y: float
    near: tuple[int, ...] = ()
    """Ids of rows of the map nearest to it in the features of the last block, the nearest first."""
    distances: tuple[float, ...] = ()
    """Their cosine distances."""
