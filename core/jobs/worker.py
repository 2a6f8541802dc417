"""A worker: one fresh process, one run. `python -m core.jobs.worker RUN_ID --fence N` is what the supervisor starts."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from core import settings as settings_module
from core.domain.run import Failure, JobKind, Status
from core.jobs import failures, process
from core.jobs.handlers import HANDLERS, Handler, Job
from core.jobs.observer import StoreObserver
from core.settings import Settings
from core.store import Store, files
from core.store.queue import Claim

log = logging.getLogger("thaw.worker")


class Terminated(BaseException):
    """SIGTERM or SIGINT arrived. Not an Exception, so that library code does not swallow it."""


def run_job(run: str, *, fence: int, settings: Settings, handlers: Mapping[JobKind, Handler] = HANDLERS) -> int:
    """Do one claimed job to its end and record it; returns the exit status.

    A claim that is no longer valid (another worker has the job) is left alone, with status 0.
    """
    store = Store(settings)
    pid, started = process.myself()
    claim = store.queue.begin(run, fence=fence, pid=pid, pid_created=started)
    if claim is None:
        log.warning("Run %s is not for this worker (claim %s is over)", run, fence)
        return 0
    observer = StoreObserver(store, run, fence=fence)
    heartbeat = Heartbeat(store, claim, observer, every_s=settings.heartbeat_s)
    heartbeat.start()
    try:
        status, failure = _work(claim, store, observer, settings, handlers)
    finally:
        heartbeat.stop()
    if failure:
        observer.failure(failure)
    observer.close()
    if not store.queue.finish(run, fence=fence, status=status, failure=failure):
        log.warning("Run %s had been given up before this worker finished it", run)
    return 0 if failure is None else 1


def _work(claim: Claim, store: Store, observer: StoreObserver, settings: Settings,
          handlers: Mapping[JobKind, Handler]) -> tuple[Status, Failure | None]:
    """Call the handler; every way it can end becomes a status and, where it failed, the three parts of an error."""
    run = claim.run
    job = Job(run=run, settings=settings, observer=observer, resume=claim.resume)
    try:
        with _signals_raise():
            job.folder.mkdir(parents=True, exist_ok=True)
            if run.recipe and not (job.folder / "recipe.json").exists():
                files.write_json(job.folder / "recipe.json", run.recipe.to_json())
            observer.result(handlers[run.kind](job))
    except Terminated:
        row = store.queue.beat(run.id, fence=claim.fence)
        if row is not None and row.stop_asked is not None:
            return Status.STOPPED, None
        log.warning("Asked to end; the run can be resumed")
        return Status.INTERRUPTED, failures.interrupted("Its process was asked to end, as happens when the computer shuts down.")
    except Exception as error:
        log.exception("Run %s failed", run.id)
        failure = failures.from_exception(error)
        return Status.INTERRUPTED if failure.kind.value == "interrupted" else Status.FAILED, failure
    return Status.STOPPED if observer.stop_noticed else Status.DONE, None


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Inside, the first SIGTERM or SIGINT raises Terminated; later ones, and any outside, are ignored: the end is being written."""
    armed = True

    def react(number: int, frame: FrameType | None) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise Terminated

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, react)
    try:
        yield
    finally:
        armed = False


class Heartbeat(threading.Thread):
    """Signs of life, news of a stop, and the end of a worker that has lost its job, from a thread of its own."""

    def __init__(self, store: Store, claim: Claim, observer: StoreObserver, *, every_s: float) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._store, self._claim, self._observer, self._every_s = store, claim, observer, every_s
        self._done = threading.Event()
        self._file = store.database.file_identity()

    def run(self) -> None:
        while not self._done.wait(self._every_s):
            if self._store.database.file_identity() != self._file:
                log.error("The data folder was deleted or replaced; ending")
                _end_self()
            try:
                row = self._store.queue.beat(self._claim.run.id, fence=self._claim.fence)
                self._observer.flush()
            except sqlite3.OperationalError:
                log.exception("The database did not take this sign of life; trying again")
                continue
            if row is None and not self._done.is_set():
                log.error("Run %s was given to another worker or deleted; ending", self._claim.run.id)
                _end_self()
            if row is not None and row.stop_asked is not None:
                self._observer.ask_to_stop()

    def stop(self) -> None:
        self._done.set()
        self.join(timeout=10)


def _end_self() -> None:
    """End this process and what it started, at once: somebody else may be writing to the run folder by now."""
    if os.getpgrp() == os.getpid() > 1:
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(3)


def main(argv: list[str] | None = None, *, handlers: Mapping[JobKind, Handler] = HANDLERS) -> int:
    """Command line of a worker; settings come from the environment."""
    parser = argparse.ArgumentParser(prog="python -m core.jobs.worker")
    parser.add_argument("run")
    parser.add_argument("--fence", type=int, required=True, help="number of the claim this worker acts for")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    process.give_way()
    return run_job(args.run, fence=args.fence, settings=settings_module.load(), handlers=handlers)


if __name__ == "__main__":
    process.leave(main())
