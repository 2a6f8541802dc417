"""Steps and evaluations of the runs that are looked at, read once: a poll reads only what is new."""

from __future__ import annotations

import threading
from collections import OrderedDict

from core.domain.run import Event
from core.store import Store

KINDS = ("step", "eval")
RUNS = 32
"""Runs whose events are kept, the ones looked at last; thirty people follow one each."""

_kept: OrderedDict[tuple[str, str, int], list[Event]] = OrderedDict()
_lock = threading.Lock()


def of(store: Store, run: str, *, attempt: int) -> list[Event]:
    """All of them so far, oldest first. attempt: how often the run was started; a new start is read anew."""
    key = (str(store.database.path), run, attempt)
    with _lock:
        found = list(_kept.get(key, ()))
    found += store.events.after(run, found[-1].seq if found else 0, kinds=KINDS)
    with _lock:
        if len(found) >= len(_kept.get(key, ())):
            _kept[key] = found
        _kept.move_to_end(key)
        while len(_kept) > RUNS:
            _kept.popitem(last=False)
    return found
