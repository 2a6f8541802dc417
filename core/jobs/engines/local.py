"""The engine of one machine: a worker process for each run, with a session and a temporary folder of its own."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from core import logs, values
from core.domain.device import Device
from core.domain.run import JobKind
from core.jobs import leftovers, process
from core.jobs.engines import Death
from core.jobs.engines.forking import Forked, Forking
from core.jobs.process import Identity
from core.settings import Settings
from core.store.queue import Claim

log = logging.getLogger("thaw.supervisor")

MEASURE_TIMEOUT_S = 180.0
MEASURE_AGAIN_S = 86_400.0
"""A device measured longer ago is measured anew when a supervisor starts."""
MEASURE_QUIETLY_S = 600.0
"""So often at most is a device measured anew that was busy when it was measured, once it is quiet."""
QUIET_LOAD = 0.25
"""Processes that want to run, over the last minute and a core, up to which a machine is quiet."""
_LAST_WORDS_BYTES = 4_000


@dataclass(kw_only=True)
class LocalWorker:
    """A worker process of this machine."""

    claim: Claim
    scratch: Path
    """Its temporary folder, removed after its death."""
    oom_before: int = field(default_factory=process.oom_kills)
    process: subprocess.Popen[bytes] | Forked | None = None
    """The one that we started; None for a worker of another supervisor, known by what it wrote on its claim."""

    def alive(self) -> bool:
        return self._identity() is not None

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def death(self) -> Death | None:
        code, told = self._code()
        if code is None and (told or self.alive()):
            return None
        leftovers.remove(self.scratch)
        oom = process.oom_kills() > self.oom_before
        if self.process is None:
            return Death(oom=oom)
        return Death(returncode=code, oom=oom, last_words=_end_of(self.claim), limited=process.memory_is_limited())

    def _code(self) -> tuple[int | None, bool]:
        """Its exit status, and whether we are told of it."""
        if isinstance(self.process, Forked):
            code = self.process.reap()
            return code, self.process.watched
        return process.reap(self.process) if self.process is not None else None, self.process is not None

    def _identity(self) -> Identity | None:
        if isinstance(self.process, Forked) and self.process.reap() is not None:
            return None  # its number may be another's by now
        if self.process is not None:
            return process.identity(self.process.pid)
        claim = self.claim
        if claim.pid is None or not process.alive(claim.pid, claim.pid_created, claim.birth):
            return None
        return Identity(pid=claim.pid, started=claim.pid_created or 0.0, birth=claim.birth)

    def _send(self, number: signal.Signals) -> None:
        _send(self._identity(), number)


class LocalEngine:
    """Starts `python -m core.jobs.worker RUN --fence N`; measures the device first where it was not measured lately."""

    def __init__(self, settings: Settings, *, worker: Sequence[str] = (), measure: Sequence[str] = (),
                 preload: Sequence[str] = (), give_way: bool = True) -> None:
        """worker: what starts a worker, before `RUN --fence N`. measure: what measures the device. preload: what forks
        workers once it has imported what they need; nothing does so for another `worker` than Thaw's unless it is said.

        give_way: workers have a lower priority than whoever looks at pages meanwhile.
        """
        self._settings = settings
        self._forks = settings.preload and bool(preload or not worker)
        self._worker = list(worker) or process.python("core.jobs.worker")
        self._measure = list(measure) or process.python("core.training.device")
        self._options = ["--give-way"] if give_way else []
        self.forking = Forking(settings, [*(preload or process.python("core.jobs.preloaded")), *self._options])
        self._measuring: subprocess.Popen[bytes] | None = None
        self._measure_since = 0.0

    @property
    def place(self) -> str:
        return process.host()

    def start(self, claim: Claim) -> LocalWorker:
        scratch = leftovers.scratch(self._settings, claim)
        scratch.mkdir(parents=True, exist_ok=True)
        worker = LocalWorker(claim=claim, scratch=scratch)
        arguments = [claim.run.id, "--fence", str(claim.fence), *self._options]
        environment = {**process.worker_environment(self._settings), "TMPDIR": str(scratch)}
        if claim.run.kind is not JobKind.IMPORT:  # which needs none of what was imported
            worker.process = self.forking.fork(arguments, log=_log(claim), environment=environment)
        if worker.process is None:
            worker.process = process.spawn([*self._worker, *arguments], log=_log(claim), env=environment)
        return worker

    def _on_processor(self) -> bool:
        """Whether runs compute on the processor: a driver of a card that was looked at does not outlive a fork."""
        device = values.read(self._settings.home / "device.json", Device)
        return device is not None and device.kind == "cpu"

    def find(self, claim: Claim) -> LocalWorker:
        return LocalWorker(claim=claim, scratch=leftovers.scratch(self._settings, claim))

    def warm_up(self) -> None:
        measured = self._settings.home / "device.json"
        device = values.read(measured, Device)
        if device is None or not device.was_quiet or time.time() - measured.stat().st_mtime > MEASURE_AGAIN_S:
            self._measure_now()

    def ready(self, waiting: int = 1) -> bool:
        """False while the device is measured: beside a run the measurement would be wrong. And, where several wait,
        while what they need is imported once for all of them."""
        self.forking.tidy()
        if self._measuring is None and self._could_measure_better():
            self._measure_now()
        if self._measuring is None:
            if waiting > 1 and self._forks and self._on_processor():
                self.forking.begin()
            return not self.forking.preparing
        code = process.reap(self._measuring)
        if code is None and time.monotonic() - self._measure_since < MEASURE_TIMEOUT_S:
            return False
        if code != 0:
            log.warning("Measuring the device failed (exit status %s); see device.log. Going on without.", code)
        self._stop_measuring()
        return True

    def _could_measure_better(self) -> bool:
        """Whether the device was busy when it was measured, and now is not; looked at now and then."""
        if time.monotonic() - self._measure_since < MEASURE_QUIETLY_S:
            return False
        if psutil.getloadavg()[0] > QUIET_LOAD * (psutil.cpu_count() or 1):
            return False
        device = values.read(self._settings.home / "device.json", Device)
        return device is not None and not device.was_quiet

    def _measure_now(self) -> None:
        self._measure_since = time.monotonic()
        self._measuring = process.spawn(self._measure, log=self._settings.home / logs.FOLDER / "device.log",
                                        env=process.worker_environment(self._settings))

    def close(self) -> None:
        self.forking.close()
        self._stop_measuring()

    def _stop_measuring(self) -> None:
        if self._measuring is not None and process.reap(self._measuring) is None:
            _send(process.identity(self._measuring.pid), signal.SIGKILL)
            self._measuring.wait()
        self._measuring = None


def _send(to: Identity | None, number: signal.Signals) -> None:
    if to is not None:
        process.end(to.pid, to.started, number, to.birth)


def _log(claim: Claim) -> Path:
    return Path(claim.run.folder) / "log.txt"


def _end_of(claim: Claim) -> str:
    """The end of a run's log; empty when there is none."""
    try:
        with _log(claim).open("rb") as file:
            file.seek(max(0, _log(claim).stat().st_size - _LAST_WORDS_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
