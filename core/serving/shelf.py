"""Loaded models within a budget of memory: the least recently used goes first. No torch: how to load is handed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.domain.side import Side
from core.errors import FailureKind, ThawError
from core.plots.numbers import size

T = TypeVar("T")


@dataclass
class _Kept(Generic[T]):
    model: T
    size_bytes: int
    users: int = 0


class Shelf(Generic[T]):
    """Models by side. Used by one thread."""

    def __init__(self, *, load: Callable[[Side], tuple[T, int]], expected: Callable[[Side], int],
                 budget: Callable[[int], int], free: Callable[[], None] = lambda: None) -> None:
        """load: side -> the model and its bytes. expected: its bytes before it is loaded. budget: bytes held -> bytes
        that may be held. free: called after models were let go."""
        self._load, self._expected, self._budget, self._free = load, expected, budget, free
        self._kept: OrderedDict[Side, _Kept[T]] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        return sum(kept.size_bytes for kept in self._kept.values())

    @property
    def sides(self) -> list[Side]:
        """Least recently used first."""
        return list(self._kept)

    def has(self, side: Side) -> bool:
        return side in self._kept

    def fits(self, side: Side) -> bool:
        """Whether it is there, or could be loaded now with what nobody uses let go."""
        if side in self._kept:
            return True
        used = sum(kept.size_bytes for kept in self._kept.values() if kept.users)
        return used + self._expected(side) <= self._budget(self.held_bytes)

    def spare(self) -> bool:
        """Whether there is memory left beside what is loaded, for what answers keep."""
        return self.held_bytes < self._budget(self.held_bytes)

    def check(self, side: Side) -> None:
        """Raises ThawError when there would be no room for it with nothing else loaded."""
        wanted, most = self._expected(side), self._budget(self.held_bytes)
        if side not in self._kept and wanted > most:
            raise ThawError("There is not enough memory for this model at present.",
                            why=f"It needs {size(wanted)}, and models may take {size(most)} now: running jobs and "
                                "other programs need the rest.", kind=FailureKind.OUT_OF_MEMORY,
                            remedy="Wait until the running jobs have ended, close other programs, or raise "
                                   "THAW_SERVING_GB and start again.")

    def take(self, side: Side) -> T:
        """The model, loaded if need be; it stays until it is given back."""
        kept = self._kept.get(side)
        if kept is None:
            self.trim(room=self._expected(side))
            kept = self._kept[side] = _Kept(*self._load(side))
        self._kept.move_to_end(side)
        kept.users += 1
        return kept.model

    def give(self, side: Side) -> None:
        """Give back what `take` gave; it stays loaded while there is room."""
        self._kept[side].users -= 1

    def trim(self, *, room: int = 0) -> None:
        """Let go of what nobody uses until the budget is kept, with so many bytes of room."""
        gone = False
        while self.held_bytes + room > self._budget(self.held_bytes):
            unused = next((side for side, kept in self._kept.items() if not kept.users), None)
            if unused is None:
                break
            del self._kept[unused]
            self._free()
            gone = True
        if gone:
            self._free()
