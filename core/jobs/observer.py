"""`StoreObserver`: what training reports, as events in the store, few enough that a long run stays light."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

from core.domain import codec
from core.domain.run import Failure, Phase, Result
from core.errors import ThawError
from core.store import Store
from core.store.events import Entry

WRITE_EVERY_S = 0.25
"""Steps and progress are written at most so often; everything else at once."""
KEEP_ALL_STEPS = 200
"""So many steps are all kept, so that a short run has a whole curve."""
THIN_OVER_S = 2000.0
"""After those, the gap between kept steps is the elapsed time over this, within 0.25 to 2 seconds."""
PATIENCE_S = 0.5
"""So long whoever trains waits for others that write; the heartbeat's thread waits longer."""
HELD_BACK = 5_000
"""So many events are kept in memory while the database takes none; of more, the oldest steps are left out first."""

log = logging.getLogger("thaw.observer")


UNWRITTEN = (sqlite3.Error, ThawError, OSError)
"""What the store raises when the database takes nothing: locked, full, damaged, gone."""


class StoreObserver:
    """Implements `core.domain.run.Observer`. Safe to call from several threads; never raises for want of the database.

    Events that cannot be written are held back, and written in order once it takes them again; the run goes on. A step
    that thinning skipped is written before the next event of another kind, so the last one is never lost.
    Progress within a phase replaces the entry before it.
    """

    def __init__(self, store: Store, run: str, *, fence: int, now: Callable[[], float] = time.time,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._run, self._fence = store, run, fence
        self._now, self._clock = now, clock
        self._lock = threading.RLock()
        """Held for moments, to change what is below."""
        self._writing = threading.Lock()
        """Held while the database is written to, which can take long: training must not wait for it twice."""
        self._failed = False
        """The last attempt to write failed: only `flush` and `close` try again."""
        self._left_out = 0
        self._buffer: list[Entry] = []
        self._skipped: Entry | None = None
        self._progress: Entry | None = None
        self._progress_seq: int | None = None
        self._written_at = self._begun_at = clock()
        self._kept_at = float("-inf")
        self._steps = self._phases = 0
        self._stop = threading.Event()
        self.stop_noticed = False
        """True once the run was told to stop and knows it."""

    def phase(self, phase: Phase) -> None:
        self._write_before()
        with self._lock:
            if self._progress is not None:
                self._buffer.append(self._progress)
            self._buffer.append((self._now(), "phase", {"phase": phase.value}))
            self._progress, self._progress_seq, self._phases = None, None, self._phases + 1
        self._flush_when_due(at_once=True)

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        with self._lock:
            self._progress = (self._now(), "progress", {"done": done, "total": total, "unit": unit, "note": note})
            due = total is not None and done >= total
        self._flush_when_due(at_once=due)

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
            try:
                self._store.queue.stop_seen(self._run, fence=self._fence)
            except UNWRITTEN:
                log.exception("That the stop was seen could not be noted")
        return True

    def ask_to_stop(self) -> None:
        """Called by the heartbeat when the row says so."""
        self._stop.set()

    def flush(self) -> bool:
        """Write what is held back; False when the database did not take it. Waits while another thread is writing."""
        with self._writing:
            return self._write()

    def close(self) -> bool:
        """Write everything, the last step included; False when the database took it not."""
        with self._lock:
            self._take_skipped()
            if self._left_out:
                text = f"{self._left_out:,} events could not be written and were left out."
                self._buffer.append((self._now(), "note", {"text": text}))
                self._left_out = 0
        return self.flush()

    def _write(self) -> bool:
        """Called with `_writing` held, never with `_lock` held."""
        with self._lock:
            count, progress, phases = len(self._buffer), self._progress, self._phases
            entries = [*self._buffer, *([progress] if progress else [])]
            replaces = [self._progress_seq] if progress and self._progress_seq is not None else []
        if not entries:
            return True
        try:
            seqs = self._store.events.append(self._run, entries, replaces=replaces)
        except UNWRITTEN as error:
            log.warning("%d events are held back: the database did not take them (%s)", len(entries), error)
            with self._lock:
                self._failed = True
                self._make_room()
            return False
        with self._lock:
            del self._buffer[:count]
            if progress is not None and phases == self._phases:
                self._progress_seq = seqs[-1]
                self._progress = None if self._progress is progress else self._progress
            self._failed, self._written_at = False, self._clock()
        return True

    def _make_room(self) -> None:
        """Leave out the oldest steps of a buffer that has become too long, then the oldest of all."""
        over = len(self._buffer) - HELD_BACK
        if over > 0:
            order = sorted(range(len(self._buffer)), key=lambda number: (self._buffer[number][1] != "step", number))
            gone = set(order[:over])
            self._buffer = [entry for number, entry in enumerate(self._buffer) if number not in gone]
            self._left_out += over

    def _add(self, kind: str, data: dict[str, Any]) -> None:
        self._write_before()
        with self._lock:
            self._buffer.append((self._now(), kind, data))
        self._flush_when_due(at_once=True)

    def _write_before(self) -> None:
        """What came before an event of another kind: the last step, and progress under a number of its own."""
        with self._lock:
            self._take_skipped()
        self._flush_when_due(at_once=True)

    def _take_skipped(self) -> None:
        if self._skipped:
            self._keep(self._skipped)

    def _keep(self, entry: Entry) -> None:
        self._buffer.append(entry)
        self._skipped, self._kept_at = None, self._clock()

    def _flush_when_due(self, *, at_once: bool = False) -> None:
        """Write, unless another thread is at it, or the database took nothing last time: the heartbeat tries again."""
        if self._failed or not (at_once or self._clock() - self._written_at >= WRITE_EVERY_S):
            return
        if self._writing.acquire(blocking=False):
            try:
                with self._store.database.patience(PATIENCE_S):
                    self._write()
            except UNWRITTEN as error:
                log.warning("The database does not answer (%s)", error)
            finally:
                self._writing.release()
