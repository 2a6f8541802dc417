"""`StoreObserver`: what training reports, as events in the store, few enough that a long run stays light."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from core.domain import codec
from core.domain.run import Failure, Phase, Result
from core.store import Store
from core.store.events import Entry

WRITE_EVERY_S = 0.25
"""Steps and progress are written at most so often; everything else at once."""
KEEP_ALL_STEPS = 200
"""So many steps are all kept, so that a short run has a whole curve."""
THIN_OVER_S = 2000.0
"""After those, the gap between kept steps is the elapsed time over this, within 0.25 to 2 seconds."""


class StoreObserver:
    """Implements `core.domain.run.Observer`. Safe to call from several threads.

    A step that thinning skipped is kept back and written before the next event of another kind, so the last one is never lost.
    Progress within a phase replaces the entry before it.
    """

    def __init__(self, store: Store, run: str, *, fence: int, now: Callable[[], float] = time.time,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._run, self._fence = store, run, fence
        self._now, self._clock = now, clock
        self._lock = threading.RLock()
        self._process = psutil.Process()
        self._buffer: list[Entry] = []
        self._skipped: Entry | None = None
        self._progress: Entry | None = None
        self._progress_seq: int | None = None
        self._written_at = self._begun_at = clock()
        self._kept_at = float("-inf")
        self._steps = 0
        self._stop = threading.Event()
        self.stop_noticed = False
        """True once the run was told to stop and knows it."""

    def phase(self, phase: Phase) -> None:
        with self._lock:
            self._add("phase", {"phase": phase.value})
            self._progress_seq = None

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        with self._lock:
            self._progress = (self._now(), "progress", {"done": done, "total": total, "unit": unit, "note": note})
            if total is not None and done >= total:
                self.flush()
            else:
                self._flush_when_due()

    def step(self, **data: Any) -> None:
        with self._lock:
            self._steps += 1
            entry = (self._now(), "step", data)
            gap = min(2.0, max(WRITE_EVERY_S, (self._clock() - self._begun_at) / THIN_OVER_S))
            if self._steps > KEEP_ALL_STEPS and self._clock() - self._kept_at < gap:
                self._skipped = entry
                return
            self._keep(entry)
            self._flush_when_due()

    def evaluation(self, **data: Any) -> None:
        self._add("eval", data)

    def note(self, text: str) -> None:
        self._add("note", {"text": text})

    def result(self, result: Result | dict[str, Any]) -> None:
        """The run's result, as its last event but one."""
        self._add("result", codec.to_json(result))

    def failure(self, failure: Failure) -> None:
        self._add("failure", codec.to_json(failure))

    def should_stop(self) -> bool:
        if not self._stop.is_set():
            return False
        if not self.stop_noticed:
            self.stop_noticed = True
            self._store.queue.stop_seen(self._run, fence=self._fence)
        return True

    def ask_to_stop(self) -> None:
        """Called by the heartbeat when the row says so."""
        self._stop.set()

    def flush(self) -> None:
        """Write what is held back."""
        with self._lock:
            entries = self._buffer + ([self._progress] if self._progress else [])
            if not entries:
                return
            replaces = [self._progress_seq] if self._progress and self._progress_seq is not None else []
            seqs = self._store.events.append(self._run, entries, replaces=replaces)
            if self._progress:
                self._progress_seq = seqs[-1]
            self._buffer, self._progress, self._written_at = [], None, self._clock()

    def close(self) -> None:
        """Write everything, the last step included."""
        with self._lock:
            self._take_skipped()
            self.flush()

    def _add(self, kind: str, data: dict[str, Any]) -> None:
        with self._lock:
            self._take_skipped()
            self.flush()
            self._buffer.append((self._now(), kind, data))
            self.flush()

    def _take_skipped(self) -> None:
        if self._skipped:
            self._keep(self._skipped)

    def _keep(self, entry: Entry) -> None:
        entry[2].setdefault("memory_bytes", int(self._process.memory_info().rss))
        self._buffer.append(entry)
        self._skipped, self._kept_at = None, self._clock()

    def _flush_when_due(self) -> None:
        if self._clock() - self._written_at >= WRITE_EVERY_S:
            self.flush()
