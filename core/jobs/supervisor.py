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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from core import disk, logs, values
from core import settings as settings_module
from core.data import uploads
from core.domain import codec
from core.domain.device import Device
from core.domain.run import Failure, JobKind, Status
from core.jobs import failures, leftovers, process
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
"""Between looks at workers that are not our children, and own signs of life."""
MEASURE_TIMEOUT_S = 180.0
MEASURE_AGAIN_S = 86_400.0
"""A device measured longer ago is measured anew when a supervisor starts."""
MOST_PAUSE_S = 15.0
"""Longest pause after rounds that failed, one after the other."""
_LAST_WORDS_BYTES = 4_000


@dataclass(kw_only=True)
class _Child:
    claim: Claim
    process: subprocess.Popen[bytes]
    oom_before: int


class Supervisor:
    """Looks after the queue of one data folder until told to stop or idle for long."""

    def __init__(self, settings: Settings, *, identity: str | None = None, worker_command: Sequence[str] = (),
                 measure_command: Sequence[str] = ()) -> None:
        """worker_command: what starts a worker, before `RUN_ID --fence N`; tests pass their own."""
        self._settings = settings
        self._store = Store(settings)
        self._id = identity or secrets.token_hex(6)
        self._me = process.myself()
        self._worker_command = list(worker_command) or process.python("core.jobs.worker")
        self._measure_command = list(measure_command) or process.python("core.training.device")
        self._children: dict[str, _Child] = {}
        self._liveness = Liveness(self._store, settings, supervisor=self._id, finish=self._finish)
        self._measuring: subprocess.Popen[bytes] | None = None
        self._measure_since = 0.0
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
            self._end_children()
            if not self._lost_its_folder():
                self._try(lambda: self._store.supervisors.remove(self._id))
        log.info("Supervisor %s ends", self._id)

    def step(self) -> None:
        """One round: bury the dead, look after the living, fill the free slots. Whatever fails is logged and tried again in the next
        round: neither the supervisor nor a run ends for it."""
        sound = all(self._try(duty) for duty in (self._reap, self._look, self._sweep, self._fill))
        self._failures = 0 if sound else self._failures + 1

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
        self._store.supervisors.beat(self._id, host=process.host(), pid=self._me.pid, pid_created=self._me.started, birth=self._me.birth,
                                     uptime=process.uptime(), trouble=trouble)
        self._liveness.check({run: process.identity(child.process.pid) for run, child in self._children.items()})
        self._checked_at = time.monotonic()

    def _start(self) -> None:
        log.info("Supervisor %s (process %d) looks after %s with %d slots, %d threads a run", self._id, self._me.pid, self._settings.home,
                 self._settings.slots, process.threads(self._settings))
        measured = self._settings.home / "device.json"
        if values.read(measured, Device) is None or time.time() - measured.stat().st_mtime > MEASURE_AGAIN_S:
            self._try(self._measure)

    def _measure(self) -> None:
        self._measure_since = time.monotonic()
        self._measuring = process.spawn(self._measure_command, log=self._settings.home / logs.FOLDER / "device.log",
                                        env=process.worker_environment(self._settings))

    def _sweep(self) -> None:
        """Remove what was left behind: uploads that nobody has looked at for long, and what killed processes were writing."""
        if time.monotonic() - self._swept_at < SWEEP_S:
            return
        self._swept_at = time.monotonic()
        reading = [str(run.payload["path"]) for run in self._store.jobs.unfinished(JobKind.IMPORT) if run.payload.get("path")]
        if removed := uploads.sweep(self._settings, in_use=reading):
            log.info("Removed %d uploads that were left behind", removed)
        leftovers.sweep(self._settings, active=self._store.queue.active())

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

    def _fill(self) -> None:
        """Start workers while there are jobs and free slots, and room on the disk."""
        if self._quit or self._still_measuring() or disk.shortage(self._settings) is not None:
            return
        while self._start_next():
            pass

    def _start_next(self) -> bool:
        """Claim one job and start its worker; False when there is none to claim."""
        claim = self._store.queue.claim(supervisor=self._id, host=process.host(), slots=max(1, self._settings.slots))
        if claim is None:
            return False
        self._busy_at = time.monotonic()
        run = claim.run
        if run.damage:
            self._finish(claim, Status.FAILED, run.failure)
            return True
        command = [*self._worker_command, run.id, "--fence", str(claim.fence)]
        oom_before = process.oom_kills()
        try:
            scratch = leftovers.scratch(self._settings, claim)
            scratch.mkdir(parents=True, exist_ok=True)
            environment = {**process.worker_environment(self._settings), "TMPDIR": str(scratch)}
            child = process.spawn(command, log=Path(run.folder) / "log.txt", env=environment)
        except OSError as error:
            log.exception("No worker could be started for run %s", run.id)
            if is_disk_full(error):
                self._store.queue.put_back(run.id, fence=claim.fence)
                return False
            self._finish(claim, Status.FAILED, failures.from_exception(error, log=logs.SUPERVISOR))
            return True
        log.info("Run %s (%s, attempt %d): worker %d", run.id, run.kind, run.attempts, child.pid)
        self._children[run.id] = _Child(claim=claim, process=child, oom_before=oom_before)
        return True

    def _reap(self) -> None:
        """Record the ends of workers that recorded none. One that cannot be recorded now is looked at again in the next round."""
        for run, child in list(self._children.items()):
            code = process.reap(child.process)
            if code is None:
                continue
            if not self._lost_its_folder():
                self._record_end(child, code)
            leftovers.remove(leftovers.scratch(self._settings, child.claim))
            del self._children[run]
            self._busy_at = time.monotonic()
            log.info("Run %s: worker %d ended with status %d", run, child.process.pid, code)

    def _record_end(self, child: _Child, code: int) -> None:
        run, fence = child.claim.run.id, child.claim.fence
        now = next((claim for claim in self._store.queue.active() if claim.run.id == run and claim.fence == fence), None)
        if now is None:
            return
        status = next((status for status, known in UNRECORDED.items() if known == code), None)
        words = _last_words(Path(now.run.folder))
        # A memory-mapped file that cannot grow ends its process so (mmap(2)).
        no_room = code == -signal.SIGBUS and disk.shortage(self._settings) is not None
        if status is Status.QUEUED or no_room:
            self._store.queue.wait_again(run, fence=fence)
        elif status is not None:
            self._finish(now, status, None)
        else:
            self._finish(now, *failures.from_death(returncode=code, stop_asked=now.stop_asked is not None,
                                                   oom=process.oom_kills() > child.oom_before, last_words=words,
                                                   limited=process.memory_is_limited()))

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
        """Interrupt our workers, kindly first."""
        deadline = time.monotonic() + KILL_AFTER_S
        workers = [child.process for child in self._children.values()] + ([self._measuring] if self._measuring is not None else [])
        for worker in workers:
            _signal(worker, signal.SIGTERM if worker is not self._measuring else signal.SIGKILL)
        while self._children and time.monotonic() < deadline:
            self._try(self._reap)
            time.sleep(0.05)
        for child in self._children.values():
            _signal(child.process, signal.SIGKILL)
            child.process.wait()
        self._try(self._reap)


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    found = process.identity(child.pid)
    if found is not None:
        process.end(found.pid, found.started, number, found.birth)


def _last_words(folder: Path) -> str:
    """The end of a run's log; empty when there is none."""
    try:
        with (folder / "log.txt").open("rb") as file:
            file.seek(max(0, (folder / "log.txt").stat().st_size - _LAST_WORDS_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


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
