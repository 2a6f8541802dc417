"""The supervisor: claims jobs, has each executed, and notices when a worker dies. `python -m core.jobs.supervisor`.

It is a process of its own, so runs outlive browser sessions and the web server. Several may serve one folder: claims
are atomic and slots are counted over all of them. SIGTERM or Ctrl+C ends it after interrupting its workers (they can be
resumed); kill -9 of it leaves them running, and the next supervisor looks after them.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import signal
import sys
import time
from collections.abc import Callable, Collection, Sequence
from operator import methodcaller
from pathlib import Path
from types import FrameType

from core import disk, files, logs
from core import settings as settings_module
from core.data import uploads
from core.domain import codec
from core.domain.run import Failure, JobKind, Status
from core.jobs import failures, launch, leftovers, process
from core.jobs.engines import Death, Engine, Worker
from core.jobs.engines.local import LocalEngine
from core.jobs.liveness import KILL_AFTER_S, Liveness
from core.jobs.worker import UNRECORDED
from core.settings import Settings
from core.store import Store
from core.store.queue import Claim
from core.unforeseen import explained, is_disk_full

log = logging.getLogger("thaw.supervisor")

POLL_S = 0.2
SWEEP_S = 3600.0
"""Between looks for uploads and temporary files that were left behind."""
CHECK_S = 0.5
"""Between looks at workers that are not ours, and own signs of life."""
MOST_PAUSE_S = 15.0
"""Longest pause after rounds that failed, one after the other."""


class Supervisor:
    """Looks after the queue of one data folder: what starts, who must end, what is recorded."""

    def __init__(self, settings: Settings, *, identity: str | None = None, engine: Engine | None = None,
                 only: Collection[str] = (), worker_command: Sequence[str] = (),
                 measure_command: Sequence[str] = ()) -> None:
        """engine: carries out the runs; by default processes of this machine, which the two commands start.

        only: ids of the jobs to start, for a command that looks after its own while no other supervisor is alive.
        """
        self._settings = settings
        self._store = Store(settings)
        self._id = identity or (launch.PRIVATE if only else "") + secrets.token_hex(6)
        self._me = process.myself()
        self._engine = engine or LocalEngine(settings, worker=worker_command, measure=measure_command)
        self._only = only
        self._children: dict[str, Worker] = {}
        self._liveness = Liveness(self._store, settings, self._engine, supervisor=self._id, finish=self._finish)
        self._checked_at = self._swept_at = float("-inf")
        self._busy_at = time.monotonic()
        self._quit = False
        self._file = self._store.database.file_identity()
        self._failures = 0
        """Rounds that failed, one after the other."""
        self._trouble: str | None = None
        self._retired = False

    def run(self) -> None:
        """Work until asked to end (then the workers are interrupted) or until nothing has happened for long."""
        self._start()
        try:
            while not self._quit and not self._lost_its_folder() and not self._idle_for_long():
                self.step()
                self._pause()
        finally:
            self.close()
        log.info("Supervisor %s ends", self._id)

    def step(self) -> None:
        """One round: record the ends of the dead, look after the living, fill the free slots.

        Whatever fails is logged and tried again in the next round: neither the supervisor nor a run ends for it.
        """
        sound = all(self._try(duty) for duty in (self._reap, self._look, self._sweep, self._fill))
        self._failures = 0 if sound else self._failures + 1

    def close(self) -> None:
        """Interrupt the workers that are left, and take the row of this supervisor away."""
        self._end_children()
        if not self._lost_its_folder():
            self._try(lambda: self._store.supervisors.remove(self._id))

    def ask_to_quit(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Signal handler: end after this round."""
        self._quit = True

    def _try(self, duty: Callable[[], object]) -> bool:
        """Do it; False, with the traceback in the log and the trouble in words for the pages, when it failed."""
        try:
            duty()
        except Exception as error:
            log.exception("Something went wrong; it is tried again")
            self._trouble = str(explained(error, log=logs.SUPERVISOR))
            return False
        return True

    def _pause(self) -> None:
        """Until the next round: longer the more rounds have failed."""
        until = time.monotonic() + min(MOST_PAUSE_S, POLL_S * 2.0 ** min(self._failures, 10))
        while not self._quit and time.monotonic() < until:
            time.sleep(POLL_S)

    def _look(self) -> None:
        """Give a sign of life, and look at who works."""
        if time.monotonic() - self._checked_at < CHECK_S:
            return
        trouble, self._trouble = self._trouble if self._failures else None, None
        self._store.supervisors.beat(self._id, host=process.host(), pid=self._me.pid, pid_created=self._me.started,
                                     birth=self._me.birth, uptime=process.uptime(), trouble=trouble)
        self._liveness.check(self._children)
        self._checked_at = time.monotonic()

    def _start(self) -> None:
        log.info("Supervisor %s (process %d) looks after %s with %d slots, %d threads a run", self._id, self._me.pid,
                 self._settings.home, self._settings.slots, process.threads(self._settings))
        self._try(self._engine.warm_up)

    def _sweep(self) -> None:
        """Remove uploads that nobody has looked at for long, and what killed processes were writing."""
        if time.monotonic() - self._swept_at < SWEEP_S:
            return
        self._swept_at = time.monotonic()
        readers = [run for kind in (JobKind.IMPORT, JobKind.PREDICT) for run in self._store.jobs.unfinished(kind)]
        reading = [str(run.payload["path"]) for run in readers if run.payload.get("path")]
        if removed := uploads.sweep(self._settings, in_use=reading):
            log.info("Removed %d uploads that were left behind", removed)
        leftovers.sweep(self._settings, active=self._store.queue.active())

    def _fill(self) -> None:
        """Start workers while there are jobs and free slots, and room on the disk."""
        if (self._quit or not self._engine.ready(self._store.queue.waiting())
                or disk.shortage(self._settings) is not None):
            return
        if self._only and launch.any_alive(self._store):
            return
        while self._start_next():
            pass

    def _start_next(self) -> bool:
        """Claim one job and start its worker; False when there is none to claim."""
        claim = self._store.queue.claim(supervisor=self._id, host=self._engine.place,
                                        slots=max(1, self._settings.slots), only=self._only)
        if claim is None:
            return False
        self._busy_at = time.monotonic()
        run = claim.run
        if run.damage:
            self._finish(claim, Status.FAILED, run.failure)
            return True
        try:
            self._children[run.id] = self._engine.start(claim)
        except OSError as error:
            log.exception("No worker could be started for run %s", run.id)
            if is_disk_full(error):
                self._store.queue.put_back(run.id, fence=claim.fence)
                return False
            self._finish(claim, Status.FAILED, failures.from_exception(error, log=logs.SUPERVISOR, kind=run.kind))
            return True
        log.info("Run %s (%s, attempt %d) begins", run.id, run.kind, run.attempts)
        return True

    def _reap(self) -> None:
        """Record the ends of workers that recorded none. What cannot be recorded now is tried again next time."""
        for run, worker in list(self._children.items()):
            death = worker.death()
            if death is None:
                continue
            if not self._lost_its_folder():
                self._record_end(worker.claim, death)
            del self._children[run]
            self._busy_at = time.monotonic()
            log.info("Run %s: its worker ended with status %s", run, death.returncode)

    def _record_end(self, claim: Claim, death: Death) -> None:
        active = self._store.queue.active()
        now = next((c for c in active if c.run.id == claim.run.id and c.fence == claim.fence), None)
        if now is None:
            self._clear_up(Path(claim.run.folder))
            return
        status = next((status for status, known in UNRECORDED.items() if known == death.returncode), None)
        # A memory-mapped file that cannot grow ends its process so (mmap(2)).
        no_room = death.returncode == -signal.SIGBUS and disk.shortage(self._settings) is not None
        if status is Status.QUEUED or no_room:
            self._store.queue.wait_again(now.run.id, fence=now.fence)
        elif status is not None:
            self._finish(now, status, None)
        else:
            self._finish(now, *failures.from_death(stop_asked=now.stop_asked is not None, kind=now.run.kind,
                                                    **vars(death)))

    def _clear_up(self, folder: Path) -> None:
        """Remove what the worker of a run that was deleted meanwhile wrote until it noticed."""
        if self._store.jobs.of_folder(folder) is None:
            files.remove_folder(folder)

    def _finish(self, claim: Claim, status: Status, failure: Failure | None) -> None:
        """Record an end, and why as the last event."""
        if self._store.queue.finish(claim.run.id, fence=claim.fence, status=status, failure=failure):
            log.warning("Run %s ended as %s", claim.run.id, status)
            if failure:
                self._store.events.append(claim.run.id, [(time.time(), "failure", codec.to_json(failure))])

    def _lost_its_folder(self) -> bool:
        """Whether the data folder was deleted or replaced under us: it is not ours to bring back."""
        try:
            return self._store.database.file_identity() != self._file
        except OSError:  # a disk that does not answer is not a folder that is gone
            return False

    def _idle_for_long(self) -> bool:
        limit = self._settings.supervisor_idle_s
        if self._children or time.monotonic() - self._busy_at < limit:
            return False
        return self._try(self._check_idle) and self._retired

    def _check_idle(self) -> None:
        idle = time.time() - self._store.supervisors.last_visit() >= self._settings.supervisor_idle_s
        self._retired = idle and self._store.supervisors.retire(self._id)

    def _end_children(self) -> None:
        """Interrupt our workers, kindly first, then end what served them."""
        for end in (methodcaller("terminate"), methodcaller("kill")):
            for worker in self._children.values():
                end(worker)
            deadline = time.monotonic() + KILL_AFTER_S
            while self._children and time.monotonic() < deadline:
                self._try(self._reap)
                time.sleep(0.05)
        self._engine.close()


def main(settings: Settings | None = None, *, identity: str | None = None, worker_command: Sequence[str] = (),
         engine: Engine | None = None) -> int:
    """Run a supervisor in this process until it is told to end. Returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = settings or settings_module.load()
    settings_module.keep_private(settings)
    supervisor = Supervisor(settings, identity=identity, worker_command=worker_command, engine=engine)
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
