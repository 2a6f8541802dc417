"""The supervisor: claims jobs, starts a fresh worker for each, and notices when one dies. `python -m core.jobs.supervisor`.

It is a process of its own, so runs outlive browser sessions and the web server. Several may serve one data folder: claims
are atomic and slots are counted over all of them. SIGTERM or Ctrl+C ends it after interrupting its workers (they can be
resumed); kill -9 of it leaves them running, and the next supervisor looks after them.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from core import settings as settings_module
from core.data import uploads
from core.domain import codec
from core.domain.run import Failure, JobKind, Status
from core.jobs import failures, launch, process
from core.settings import Settings
from core.store import Store, files
from core.store.queue import Claim

log = logging.getLogger("thaw.supervisor")

POLL_S = 0.2
SWEEP_S = 3600.0
"""Between looks for uploads that were left behind."""
CHECK_S = 0.5
"""Between looks at workers that are not our children, and own signs of life."""
KILL_AFTER_S = 10.0
"""From SIGTERM to SIGKILL."""
WIND_UP_FACTOR = 10
"""A run that has noticed the stop gets so many times the grace to evaluate and save its best checkpoint."""
PATIENCE_FACTOR = 4
"""A silent worker whose process lives may only be starved of time: it gets so many times the usual limit."""
MEASURE_TIMEOUT_S = 180.0
MEASURE_AGAIN_S = 86_400.0
"""A device measured longer ago is measured anew when a supervisor starts."""


@dataclass(kw_only=True)
class _Child:
    claim: Claim
    process: subprocess.Popen[bytes]
    oom_before: int


@dataclass(kw_only=True)
class _Watch:
    """When we last saw a claim's sign of life change, on our own clock, which a suspended machine stops too."""

    fence: int
    heartbeat: float | None
    seen_at: float
    term_at: float | None = None


class Supervisor:
    """Looks after the queue of one data folder until told to stop or idle for long."""

    def __init__(self, settings: Settings, *, identity: str | None = None, worker_command: Sequence[str] = (),
                 measure_command: Sequence[str] = ()) -> None:
        """worker_command: what starts a worker, before `RUN_ID --fence N`; tests pass their own."""
        self._settings = settings
        self._store = Store(settings)
        self._id = identity or secrets.token_hex(6)
        self._pid, self._started = process.myself()
        self._worker_command = list(worker_command) or process.python("core.jobs.worker")
        self._measure_command = list(measure_command) or process.python("core.training.device")
        self._children: dict[str, _Child] = {}
        self._watched: dict[str, _Watch] = {}
        self._measuring: subprocess.Popen[bytes] | None = None
        self._measure_since = 0.0
        self._checked_at = float("-inf")
        self._busy_at = time.monotonic()
        self._quit = False
        self._file = self._store.database.file_identity()
        self._swept_at = float("-inf")

    def run(self) -> None:
        """Work until asked to end (then the workers are interrupted) or until nothing has happened for long."""
        self._beat()
        self._start()
        try:
            while not self._quit and not self._lost_its_folder() and not self._idle_for_long():
                self.step()
                time.sleep(POLL_S)
        finally:
            self._end_children()
            if not self._lost_its_folder():
                self._store.supervisors.remove(self._id)
        log.info("Supervisor %s ends", self._id)

    def step(self) -> None:
        """One round: bury the dead, look after the living, fill the free slots."""
        self._reap()
        if time.monotonic() - self._checked_at >= CHECK_S:
            self._checked_at = time.monotonic()
            self._beat()
            self._check()
        if time.monotonic() - self._swept_at >= SWEEP_S:
            self._swept_at = time.monotonic()
            self._sweep_uploads()
        if not self._still_measuring():
            while self._start_next():
                pass

    def ask_to_quit(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Signal handler: end after this round."""
        self._quit = True

    def _start(self) -> None:
        log.info("Supervisor %s (process %d) looks after %s with %d slots, %d threads a run", self._id, self._pid, self._settings.home,
                 self._settings.slots, process.threads(self._settings))
        for folder in (self._settings.home / "workspaces").glob("*/*"):
            files.sweep(folder)
        measured = self._settings.home / "device.json"
        if not measured.exists() or time.time() - measured.stat().st_mtime > MEASURE_AGAIN_S:
            self._measure_since = time.monotonic()
            self._measuring = process.spawn(self._measure_command, log=logs(self._settings) / "device.log",
                                            env=process.worker_environment(self._settings))

    def _sweep_uploads(self) -> None:
        """Remove uploads that were never accepted and that nobody has looked at for long."""
        reading = [str(run.payload["path"]) for run in self._store.jobs.unfinished(JobKind.IMPORT) if run.payload.get("path")]
        if removed := uploads.sweep(self._settings, in_use=reading):
            log.info("Removed %d uploads that were left behind", removed)

    def _still_measuring(self) -> bool:
        """Runs wait for the device to be measured: beside a run the measurement would be wrong."""
        if self._measuring is None:
            return False
        code = process.reap(self._measuring)
        if code is None and time.monotonic() - self._measure_since < MEASURE_TIMEOUT_S:
            return True
        if code is None:
            self._measuring.kill()
            self._measuring.wait()
        if code != 0:
            log.warning("Measuring the device failed (exit status %s); see device.log. Going on without.", code)
        self._measuring = None
        return False

    def _beat(self) -> None:
        self._store.supervisors.beat(self._id, host=process.host(), pid=self._pid, pid_created=self._started)

    def _start_next(self) -> bool:
        """Claim one job and start its worker; False when there is none to claim."""
        if self._quit:
            return False
        claim = self._store.queue.claim(supervisor=self._id, host=process.host(), slots=max(1, self._settings.slots))
        if claim is None:
            return False
        self._busy_at = time.monotonic()
        run = claim.run
        command = [*self._worker_command, run.id, "--fence", str(claim.fence)]
        oom_before = process.oom_kills()
        try:
            child = process.spawn(command, log=Path(run.folder) / "log.txt", env=process.worker_environment(self._settings))
        except OSError as error:
            log.exception("No worker could be started for run %s", run.id)
            self._finish(claim, Status.FAILED, failures.from_exception(error))
            return True
        log.info("Run %s (%s, attempt %d): worker %d", run.id, run.kind, run.attempts, child.pid)
        self._children[run.id] = _Child(claim=claim, process=child, oom_before=oom_before)
        return True

    def _reap(self) -> None:
        for run, child in list(self._children.items()):
            code = process.reap(child.process)
            if code is None:
                continue
            del self._children[run]
            self._busy_at = time.monotonic()
            log.info("Run %s: worker %d ended with status %d", run, child.process.pid, code)
            if self._lost_its_folder():
                continue
            now = next((claim for claim in self._store.queue.active() if claim.run.id == run and claim.fence == child.claim.fence), None)
            if now is not None:
                self._finish(now, *failures.from_death(returncode=code, stop_asked=now.stop_asked is not None,
                                                       oom=process.oom_kills() > child.oom_before))

    def _check(self) -> None:
        """Look at every claimed job, ours or not: dead, silent, or overdue with stopping."""
        active = self._store.queue.active()
        self._watched = {claim.run.id: self._watch(claim) for claim in active}
        for claim in active:
            watch = self._watched[claim.run.id]
            silent_s = time.monotonic() - watch.seen_at
            if claim.run.id in self._children:
                self._check_ours(claim, watch, silent_s)
            elif claim.host != process.host():
                if silent_s > self._settings.stale_after_s:
                    self._bury(claim)
            elif claim.pid is None:
                if silent_s > self._settings.stale_after_s and self._store.queue.put_back(claim.run.id, fence=claim.fence):
                    log.warning("Run %s was claimed by supervisor %s and never begun; queued again", claim.run.id, claim.supervisor)
            elif not process.alive(claim.pid, claim.pid_created):
                if claim.supervisor == self._id or not launch.is_alive(self._store, claim.supervisor) or silent_s > 2 * CHECK_S:
                    self._bury(claim)
            else:
                self._check_living(claim, watch, silent_s, claim.pid, claim.pid_created)

    def _check_ours(self, claim: Claim, watch: _Watch, silent_s: float) -> None:
        child = self._children[claim.run.id].process
        self._check_living(claim, watch, silent_s, child.pid, process.start_time(child.pid))

    def _check_living(self, claim: Claim, watch: _Watch, silent_s: float, pid: int, started: float | None) -> None:
        """End a worker that has fallen silent for long, or that does not come to its end after a stop."""
        if silent_s > PATIENCE_FACTOR * self._settings.stale_after_s:
            log.warning("Run %s: worker %d has been silent for %.0f s; ending it", claim.run.id, pid, silent_s)
            process.end(pid, started, signal.SIGKILL)
            if claim.run.id not in self._children:
                self._bury(claim)
        elif _overdue(claim, self._settings.stop_grace_s):
            if watch.term_at is None:
                log.warning("Run %s: worker %d does not stop; SIGTERM", claim.run.id, pid)
                watch.term_at = time.monotonic()
                process.end(pid, started, signal.SIGTERM)
            elif time.monotonic() - watch.term_at > KILL_AFTER_S:
                log.warning("Run %s: worker %d does not end; SIGKILL", claim.run.id, pid)
                process.end(pid, started, signal.SIGKILL)

    def _watch(self, claim: Claim) -> _Watch:
        old = self._watched.get(claim.run.id)
        if old is None or old.fence != claim.fence:
            return _Watch(fence=claim.fence, heartbeat=claim.run.heartbeat, seen_at=time.monotonic())
        if old.heartbeat != claim.run.heartbeat:
            old.heartbeat, old.seen_at = claim.run.heartbeat, time.monotonic()
        return old

    def _bury(self, claim: Claim) -> None:
        """The worker of that claim is gone, and it is not our child."""
        self._finish(claim, *failures.from_death(returncode=None, stop_asked=claim.stop_asked is not None, oom=False))

    def _finish(self, claim: Claim, status: Status, failure: Failure | None) -> None:
        if self._store.queue.finish(claim.run.id, fence=claim.fence, status=status, failure=failure):
            log.warning("Run %s ended as %s", claim.run.id, status)
            if failure:
                self._store.events.append(claim.run.id, [(time.time(), "failure", codec.to_json(failure))])

    def _lost_its_folder(self) -> bool:
        """Whether the data folder was deleted or replaced under us: it is not ours to bring back."""
        return self._store.database.file_identity() != self._file

    def _idle_for_long(self) -> bool:
        limit = self._settings.supervisor_idle_s
        if self._children or time.monotonic() - self._busy_at < limit or time.time() - self._store.supervisors.last_visit() < limit:
            return False
        return self._store.supervisors.retire(self._id)

    def _end_children(self) -> None:
        """Interrupt our workers, kindly first."""
        deadline = time.monotonic() + KILL_AFTER_S
        if self._measuring is not None:
            process.end(self._measuring.pid, process.start_time(self._measuring.pid), signal.SIGKILL)
        for child in self._children.values():
            process.end(child.process.pid, process.start_time(child.process.pid), signal.SIGTERM)
        while self._children and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.05)
        for child in self._children.values():
            process.end(child.process.pid, process.start_time(child.process.pid), signal.SIGKILL)
            child.process.wait()
        self._reap()


def _overdue(claim: Claim, grace_s: float) -> bool:
    """Whether a stop was asked so long ago that waiting makes no sense, or asked twice."""
    if claim.stop_asked is None:
        return False
    if claim.stop_forced:
        return True
    if claim.stop_seen is None:
        return time.time() - claim.stop_asked > grace_s
    return time.time() - claim.stop_seen > WIND_UP_FACTOR * grace_s


def logs(settings: Settings) -> Path:
    """Where supervisors write their logs."""
    return settings.home / "logs"


def main(settings: Settings | None = None, *, identity: str | None = None, worker_command: Sequence[str] = ()) -> int:
    """Run a supervisor in this process until it is told to end. Returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = settings or settings_module.load()
    settings_module.keep_private(settings)
    supervisor = Supervisor(settings, identity=identity, worker_command=worker_command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.ask_to_quit)
    supervisor.run()
    return 0


def _command_line(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m core.jobs.supervisor")
    parser.add_argument("--id", default=None, help="identity announced by whoever started this supervisor")
    return main(identity=parser.parse_args(argv).id)


if __name__ == "__main__":
    sys.exit(_command_line())
