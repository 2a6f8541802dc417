"""Who of those that claim a job is still at it: the dead are buried, the silent and those that do not stop are ended."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.domain.run import Failure, Status
from core.jobs import failures, launch, process
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
"""After so long a dead worker of another living supervisor is buried here, too: that one should have noticed."""

Finish = Callable[[Claim, Status, "Failure | None"], None]


@dataclass(kw_only=True)
class _Watch:
    """When we last saw a claim change, on our own clock, which nobody sets and which a suspended machine stops too."""

    fence: int
    oom_before: int
    heartbeat: float | None
    seen_at: float
    asked_at: float | None = None
    noticed_at: float | None = None
    term_at: float | None = None


class Liveness:
    """Looks at every claimed job, ours or not: dead, silent, or overdue with stopping."""

    def __init__(self, store: Store, settings: Settings, *, supervisor: str, finish: Finish) -> None:
        """finish: records the end of a claim whose worker is gone."""
        self._store, self._settings, self._id, self._finish = store, settings, supervisor, finish
        self._watched: dict[str, _Watch] = {}

    def check(self, ours: Mapping[str, process.Identity | None]) -> None:
        """One look. ours: run -> its worker, our child (None: it has died); the deaths of these are recorded by whoever reaps them."""
        active = self._store.queue.active()
        self._watched = {claim.run.id: self._watch(claim) for claim in active}
        for claim in active:
            watch = self._watched[claim.run.id]
            silent_s = time.monotonic() - watch.seen_at
            if claim.run.id in ours:
                worker = ours[claim.run.id]
                if worker is not None and self._must_end(claim, watch, silent_s, worker):
                    process.end(worker.pid, worker.started, signal.SIGKILL, worker.birth)
            elif (stranger := _worker(claim)) is None:
                self._check_gone(claim, watch, silent_s)
            elif self._must_end(claim, watch, silent_s, stranger):
                process.end(stranger.pid, stranger.started, signal.SIGKILL, stranger.birth)
                self._bury(claim, watch)

    def _check_gone(self, claim: Claim, watch: _Watch, silent_s: float) -> None:
        """Bury it when that is sure; queue it again when no worker ever began."""
        if claim.host == process.host() and claim.pid is None:
            if silent_s > self._settings.stale_after_s and self._store.queue.put_back(claim.run.id, fence=claim.fence):
                log.warning("Run %s was claimed by supervisor %s and never begun; queued again", claim.run.id, claim.supervisor)
        elif claim.host != process.host():
            if silent_s > self._settings.stale_after_s:
                self._bury(claim, watch)
        elif claim.supervisor == self._id or silent_s > _SURELY_REAPED_S or not launch.is_alive(self._store, claim.supervisor):
            self._bury(claim, watch)

    def _must_end(self, claim: Claim, watch: _Watch, silent_s: float, worker: process.Identity) -> bool:
        """Whether a living worker has been silent, or has not come to its end after a stop and SIGTERM, for so long that it is killed."""
        if silent_s > PATIENCE_FACTOR * self._settings.stale_after_s:
            log.warning("Run %s: worker %d has been silent for %.0f s; ending it", claim.run.id, worker.pid, silent_s)
            return True
        if not _overdue(claim, watch, self._settings.stop_grace_s):
            return False
        if watch.term_at is None:
            log.warning("Run %s: worker %d does not stop; SIGTERM", claim.run.id, worker.pid)
            watch.term_at = time.monotonic()
            process.end(worker.pid, worker.started, signal.SIGTERM, worker.birth)
        elif time.monotonic() - watch.term_at > KILL_AFTER_S:
            log.warning("Run %s: worker %d does not end; SIGKILL", claim.run.id, worker.pid)
            return True
        return False

    def _watch(self, claim: Claim) -> _Watch:
        now, watch = time.monotonic(), self._watched.get(claim.run.id)
        if watch is None or watch.fence != claim.fence:
            watch = _Watch(fence=claim.fence, oom_before=process.oom_kills(), heartbeat=claim.run.heartbeat, seen_at=now)
        if watch.heartbeat != claim.run.heartbeat:
            watch.heartbeat, watch.seen_at = claim.run.heartbeat, now
        if claim.stop_asked is not None:
            watch.asked_at = watch.asked_at or now
        if claim.stop_seen is not None:
            watch.noticed_at = watch.noticed_at or now
        return watch

    def _bury(self, claim: Claim, watch: _Watch) -> None:
        """The worker of that claim is gone, and it is not our child."""
        oom = claim.host == process.host() and process.oom_kills() > watch.oom_before
        self._finish(claim, *failures.from_death(returncode=None, stop_asked=claim.stop_asked is not None, oom=oom))


def _worker(claim: Claim) -> process.Identity | None:
    """The living process on this machine that has begun that claim."""
    if claim.pid is None or claim.host != process.host() or not process.alive(claim.pid, claim.pid_created, claim.birth):
        return None
    return process.Identity(pid=claim.pid, started=claim.pid_created or 0.0, birth=claim.birth)


def _overdue(claim: Claim, watch: _Watch, grace_s: float) -> bool:
    """Whether a stop was asked so long ago that waiting makes no sense, or asked twice."""
    if watch.asked_at is None:
        return False
    if claim.stop_forced:
        return True
    if watch.noticed_at is None:
        return time.monotonic() - watch.asked_at > grace_s
    return time.monotonic() - watch.noticed_at > WIND_UP_FACTOR * grace_s
