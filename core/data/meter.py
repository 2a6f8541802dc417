"""How far a long import is: readers and checks report it here, and whoever watches (a worker) shows it.

A context variable carries the watcher, so that a dozen readers need no argument more. Nothing happens when nobody
watches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

Watcher = Callable[[str, int, int | None], None]
"""Called with (what is done now, how much of it, of how much or None); may raise to end the import."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextlib.contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Inside, everything that is reported goes to `watcher`."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def report(stage: str, done: int, total: int | None = None) -> None:
    """Say how far `stage` (a few words for a participant, such as `reading rows`) is."""
    if watcher := _watcher.get():
        watcher(stage, done, total)


def unit(stage: str) -> str:
    """What the amounts of a stage count: `pictures` or `rows`."""
    return "pictures" if "picture" in stage else "rows"
