"""A worker: one fresh process, one run. `python -m core.jobs.worker RUN_ID --fence N` is what the supervisor starts."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from core import disk, files, logs, values
from core import settings as settings_module
from core.domain import resolve
from core.domain.dataset import Content
from core.domain.device import Device
from core.domain.run import Failure, JobKind, Result, Run, Status, TurnOver
from core.errors import FailureKind, ThawError
from core.jobs import failures, leftovers, process
from core.jobs.handlers import HANDLERS, Handler, Job
from core.jobs.observer import UNWRITTEN, StoreObserver
from core.settings import Settings
from core.store import Store
from core.store.queue import Claim
from core.unforeseen import is_disk_full, is_fault

log = logging.getLogger("thaw.worker")


UNRECORDED: Mapping[Status, int] = {Status.DONE: 80, Status.STOPPED: 81, Status.QUEUED: 82}
"""Exit status of a worker that could not record that it ended so: its supervisor records it later."""
RECORD_FOR_S = 10.0
"""So long a worker tries to record an end, holding its memory."""

T = TypeVar("T")


class Terminated(BaseException):
    """SIGTERM or SIGINT arrived. Not an Exception, so that library code does not swallow it."""


def run_job(run: str, *, fence: int, settings: Settings, handlers: Mapping[JobKind, Handler] = HANDLERS) -> int:
    """Do one claimed job to its end and record it; returns the exit status.

    A claim that is no longer valid (another worker has the job) is left alone, with status 0.
    """
    me = process.myself()
    store = _patiently(lambda: Store(settings))
    if store is None:
        return UNRECORDED[Status.QUEUED]
    begun = _patiently(lambda: [store.queue.begin(run, fence=fence, pid=me.pid, pid_created=me.started,
                                                  birth=me.birth)])
    if begun is None:
        return UNRECORDED[Status.QUEUED]
    if (claim := begun[0]) is None:
        log.warning("Run %s is not for this worker (claim %s is over)", run, fence)
        return 0
    observer = StoreObserver(store, run, fence=fence)
    heartbeat = Heartbeat(store, claim, observer, every_s=settings.heartbeat_s)
    heartbeat.start()
    last = False
    try:
        status, failure = _work(claim, store, observer, settings, handlers)
        if failure:
            observer.failure(failure)
    except TurnOver:
        status, failure, last = Status.QUEUED, None, True
    finally:
        heartbeat.stop()
    return _record(store, claim, observer, status, failure, last=last)


def _record(store: Store, claim: Claim, observer: StoreObserver, status: Status, failure: Failure | None, *,
            last: bool = False) -> int:
    """Write the last events, then the end; the exit status says what could not be written.

    QUEUED: the run waits for another turn, at its old place or behind all others.
    """
    def write() -> list[bool]:
        if not observer.close():
            raise sqlite3.OperationalError("the last events are still held back")
        if status is Status.QUEUED:
            return [store.queue.wait_again(claim.run.id, fence=claim.fence, last=last)]
        return [store.queue.finish(claim.run.id, fence=claim.fence, status=status, failure=failure)]

    recorded = _patiently(write)
    if recorded is None:
        return UNRECORDED.get(status, 1)
    if not recorded[0]:
        log.warning("Run %s had been given up before this worker finished it", claim.run.id)
    return 0 if failure is None else 1


def _patiently(work: Callable[[], T]) -> T | None:
    """The work's answer, tried again for a while as long as the database does not take it; None in the end."""
    deadline, pause_s = time.monotonic() + RECORD_FOR_S, 0.25
    while True:
        try:
            return work()
        except UNWRITTEN as error:
            if time.monotonic() + pause_s > deadline:
                log.exception("The database does not answer; ending")
                return None
            log.warning("The database does not answer (%s); trying again", error)
            time.sleep(pause_s)
            pause_s *= 2


def _work(claim: Claim, store: Store, observer: StoreObserver, settings: Settings,
          handlers: Mapping[JobKind, Handler]) -> tuple[Status, Failure | None]:
    """Call the handler; every way it can end becomes a status and, where it failed, the three parts of an error. Only
    TurnOver passes through."""
    run = claim.run
    job = Job(run=run, settings=settings, observer=observer, resume=claim.resume,
              mates_wait=lambda: bool(_patiently(lambda: store.queue.mates_wait(run.id))))
    if run.damage:
        return Status.FAILED, run.failure
    try:
        with _signals_raise():
            job.folder.mkdir(parents=True, exist_ok=True)
            leftovers.clear(job.folder)
            run = _resolved(run, store, settings)
            job = dataclasses.replace(job, run=run)
            if not job.resume:
                (job.folder / "result.json").unlink(missing_ok=True)  # of an earlier run that this one writes over
            if run.recipe and run.recipe.task.content is Content.PICTURE:
                process.keep_feature_maps()
            if run.recipe and not (job.resume and (job.folder / "recipe.json").exists()):
                files.write_json(job.folder / "recipe.json", run.recipe.to_json(), durable=True)
            outcome = handlers[run.kind](job)
            observer.result(outcome)
    except Terminated:
        if _stop_was_asked(store, claim):
            return Status.STOPPED, None
        log.warning("Side to end; the run can be resumed")
        why = "Its process was asked to end, as happens when the computer shuts down."
        return Status.INTERRUPTED, failures.interrupted(why, run.kind)
    except BaseException as error:
        if not is_fault(error):
            raise
        log.exception("Run %s (%s) failed", run.id, run.kind)
        if is_disk_full(error) and disk.shortage(settings) is not None:
            observer.note("The disk is full. The run waits in the queue until there is room, and goes on from its last "
                          "checkpoint.")
            return Status.QUEUED, None
        failure = failures.from_exception(error, log="" if isinstance(error, ThawError) else logs.WORKER, kind=run.kind)
        return Status.INTERRUPTED if failure.kind is FailureKind.INTERRUPTED else Status.FAILED, failure
    complete = isinstance(outcome, Result) and outcome.complete  # told to stop when only its features were to come
    return Status.STOPPED if observer.stop_noticed and not complete else Status.DONE, None


def _stop_was_asked(store: Store, claim: Claim) -> bool:
    row = _patiently(lambda: [store.queue.beat(claim.run.id, fence=claim.fence)])
    return row is not None and row[0] is not None and row[0].stop_asked is not None


def _resolved(run: Run, store: Store, settings: Settings) -> Run:
    """The run with its recipe as it will be executed: an experiment's first run decides what was left to the device."""
    device = values.read(settings.home / "device.json", Device)
    if run.recipe is None or device is None or not resolve.is_open(run.recipe):
        return run
    try:
        return store.jobs.resolve(run, device)
    except sqlite3.OperationalError:
        log.exception("The database did not take the resolved recipes; this run decides for itself")
        return run


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Inside, the first SIGTERM or SIGINT raises Terminated; later ones are ignored: the end is being written."""
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
            try:
                if self._store.database.file_identity() != self._file:
                    log.error("The data folder was deleted or replaced; ending")
                    _end_self()
                row = self._store.queue.beat(self._claim.run.id, fence=self._claim.fence)
                self._observer.flush()
            except UNWRITTEN:
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
    parser.add_argument("--give-way", action="store_true", help="have a lower priority than whoever looks at pages")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    if args.give_way:
        process.give_way()
    settings = settings_module.load()
    logs.to_file(settings, logs.WORKER, level=logging.ERROR)
    return run_job(args.run, fence=args.fence, settings=settings, handlers=handlers)


if __name__ == "__main__":
    process.leave(main())
