"""Which claimed jobs are worked on: the ends of dead workers are recorded, silent and unstoppable ones are ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.domain.run import Failure, Status
from core.jobs import failures, launch
from core.jobs.engines import Death, Engine, Worker
from core.settings import Settings
from core.store import Store
from core.store.queue import Claim

log = logging.getLogger("thaw.supervisor")

KILL_AFTER_S = 10.0
"""From SIGTERM to SIGKILL."""
WIND_UP_FACTOR = 10
"""A run that has noticed the stop gets so many times the grace to evaluate and save its best checkpoint."""
PATIENCE_FACTOR = 4
"""A silent worker whose process lives may only be starved of time: it gets so many times the usual limit."""
_SURELY_REAPED_S = 1.0
"""After so long a dead worker of another living supervisor is recorded here: that one should have noticed."""

Finish = Callable[[Claim, Status, "Failure | None"], None]


@dataclass(kw_only=True)
class _Watch:
    """When we last saw a claim change, on our own clock, which nobody sets and which a suspended machine stops too."""

    fence: int
    worker: Worker | None
    """None of a claim of another place."""
    heartbeat: float | None
    seen_at: float
    asked_at: float | None = None
    noticed_at: float | None = None
    term_at: float | None = None


class Liveness:
    """Looks at every claimed job, ours or not: dead, silent, or overdue with stopping."""

    def __init__(self, store: Store, settings: Settings, engine: Engine, *, supervisor: str, finish: Finish) -> None:
        """finish: records the end of a claim whose worker is gone."""
        self._store, self._settings, self._engine = store, settings, engine
        self._id, self._finish = supervisor, finish
        self._watched: dict[str, _Watch] = {}

    def check(self, ours: Mapping[str, Worker]) -> None:
        """One look. ours: run -> the worker that our engine started; whoever reaps these records their deaths."""
        active = self._store.queue.active()
        self._watched = {claim.run.id: self._watch(claim) for claim in active}
        for claim in active:
            watch = self._watched[claim.run.id]
            silent_s = time.monotonic() - watch.seen_at
            own = ours.get(claim.run.id)
            worker = own or watch.worker
            if worker is not None and worker.alive():
                if self._must_end(claim, watch, silent_s, worker):
                    worker.kill()
                    if own is None:
                        self._record(claim, watch)
            elif own is None:
                self._check_gone(claim, watch, silent_s)

    def _check_gone(self, claim: Claim, watch: _Watch, silent_s: float) -> None:
        """Record its end when that is sure; queue it again when no worker ever began."""
        if watch.worker is None:
            if silent_s > self._settings.stale_after_s:
                self._record(claim, watch)
        elif claim.pid is None:
            if silent_s > self._settings.stale_after_s and self._store.queue.put_back(claim.run.id, fence=claim.fence):
                log.warning("Run %s was claimed by supervisor %s and never begun; queued again", claim.run.id,
                            claim.supervisor)
        elif (claim.supervisor == self._id or silent_s > _SURELY_REAPED_S
              or not launch.is_alive(self._store, claim.supervisor)):
            self._record(claim, watch)

    def _must_end(self, claim: Claim, watch: _Watch, silent_s: float, worker: Worker) -> bool:
        """Whether a worker was silent, or has not ended after a stop and SIGTERM, for so long that it is killed."""
        if silent_s > PATIENCE_FACTOR * self._settings.stale_after_s:
            log.warning("Run %s: its worker has been silent for %.0f s; ending it", claim.run.id, silent_s)
            return True
        if not _overdue(claim, watch, self._settings.stop_grace_s):
            return False
        if watch.term_at is None:
            log.warning("Run %s: its worker does not stop; SIGTERM", claim.run.id)
            watch.term_at = time.monotonic()
            worker.terminate()
        elif time.monotonic() - watch.term_at > KILL_AFTER_S:
            log.warning("Run %s: its worker does not end; SIGKILL", claim.run.id)
            return True
        return False

    def _watch(self, claim: Claim) -> _Watch:
        now, watch = time.monotonic(), self._watched.get(claim.run.id)
        if watch is None or watch.fence != claim.fence:
            worker = self._engine.find(claim) if claim.host == self._engine.place else None
            watch = _Watch(fence=claim.fence, worker=worker, heartbeat=claim.run.heartbeat, seen_at=now)
        if watch.worker is not None:
            watch.worker.claim = claim  # it may have begun since
        if watch.heartbeat != claim.run.heartbeat:
            watch.heartbeat, watch.seen_at = claim.run.heartbeat, now
        if claim.stop_asked is not None:
            watch.asked_at = watch.asked_at or now
        if claim.stop_seen is not None:
            watch.noticed_at = watch.noticed_at or now
        return watch

    def _record(self, claim: Claim, watch: _Watch) -> None:
        """The worker of that claim is gone, and our engine did not start it."""
        death = (watch.worker.death() if watch.worker else None) or Death()
        self._finish(claim, *failures.from_death(stop_asked=claim.stop_asked is not None, kind=claim.run.kind,
                                                  **vars(death)))


def _overdue(claim: Claim, watch: _Watch, grace_s: float) -> bool:
    """Whether a stop was asked so long ago that waiting makes no sense, or asked twice."""
    if watch.asked_at is None:
        return False
    if claim.stop_forced:
        return True
    if watch.noticed_at is None:
        return time.monotonic() - watch.asked_at > grace_s
    return time.monotonic() - watch.noticed_at > WIND_UP_FACTOR * grace_s
