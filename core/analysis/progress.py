"""What a page polls: a run and the events that are new."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.run import Event, Run


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Answer of one poll; pass `last_seq` as `after` of the next."""

    run: Run
    events: list[Event]
    last_seq: int
