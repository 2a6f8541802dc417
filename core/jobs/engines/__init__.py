"""Engines carry out claimed runs: the supervisor decides which starts and which worker must end, an engine knows how.

`local` starts a process for each run on this machine. One for several machines can stand next to it: nothing outside
this package starts, signals or reaps a worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.store.queue import Claim


@dataclass(frozen=True, kw_only=True)
class Death:
    """What is known of a worker that is gone."""

    returncode: int | None = None
    """Exit status; negative: the signal that ended it; None when unknown."""
    oom: bool = False
    """The system ended a process for lack of memory while the worker ran."""
    last_words: str = ""
    """The end of its log."""
    limited: bool = False
    """Processes here may have only so much memory (`ulimit -v`), and libraries that get none crash."""


class Worker(Protocol):
    """Whoever executes a claimed run."""

    claim: Claim

    def alive(self) -> bool:
        """Whether it still is at work."""

    def terminate(self) -> None:
        """Ask it to end in order; it records how it ended."""

    def kill(self) -> None:
        """End it at once, with whatever it started."""

    def death(self) -> Death | None:
        """How it died, the same however often it is asked; None while it lives."""


class Engine(Protocol):
    """Starts workers, and finds those that an engine like it started for another supervisor."""

    @property
    def place(self) -> str:
        """Where its workers are; written on each claim (`Claim.host`)."""

    def warm_up(self) -> None:
        """Begin what runs must wait for: the device is measured. Called once, when a supervisor begins."""

    def ready(self, waiting: int = 1) -> bool:
        """Whether runs can be started now. waiting: how many there are."""

    def start(self, claim: Claim) -> Worker:
        """Start the worker of a claim. Raises OSError when none can be started."""

    def find(self, claim: Claim) -> Worker:
        """The worker of a claim of this place, dead or alive."""

    def close(self) -> None:
        """End whatever it runs beside workers. Called once these have ended."""
