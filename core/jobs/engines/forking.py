"""Workers forked from a process that has imported everything (`core.jobs.preloaded`), as its supervisor sees it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from core import logs
from core.jobs import process
from core.jobs.preloaded import READY
from core.settings import Settings

_log = logging.getLogger("thaw.supervisor")

LOG = f"{logs.FOLDER}/preloaded.log"
"""What it prints, below the data folder."""
IDLE_S = 300.0
"""So long without a run it is kept."""
PREPARE_S = 60.0
"""So long runs wait for it at most."""
ANSWER_S = 10.0
"""A fork takes some ten milliseconds."""
MEMORY = 3e9
"""Bytes that must be free: it holds 0.6 GB."""
POSSIBLE = sys.platform == "linux"
"""Elsewhere libraries do not outlive a fork."""


@dataclass(eq=False)
class Forked:
    """A worker that is no child of ours."""

    pid: int
    server: Forking = field(repr=False)

    def reap(self) -> int | None:
        """Its exit status (negative: the signal); None while it lives, or when nobody is left to say."""
        return self.server.ended(self.pid)

    @property
    def watched(self) -> bool:
        """Whether its end will be told."""
        return self.server.alive


class Forking:
    """Starts that process, asks it for workers, and hears of their ends. Whatever goes wrong with it, workers can be
    started without."""

    def __init__(self, settings: Settings, command: Sequence[str]) -> None:
        self._settings, self._command = settings, list(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._held = b""
        self._told: list[int] = []
        self._ended: dict[int, int] = {}
        self._living: set[int] = set()
        self._used_at = 0.0
        self._begun_at = float("-inf")

    @property
    def alive(self) -> bool:
        return self._child is not None and process.reap(self._child) is None

    @property
    def ready(self) -> bool:
        """Whether workers can be had of it."""
        self._hear()
        return self._ready and self.alive

    @property
    def preparing(self) -> bool:
        """Whether workers can soon be had of it."""
        return not self.ready and self.alive and time.monotonic() - self._begun_at < PREPARE_S

    def begin(self) -> None:
        """Start it, unless it is there or memory is short; it is ready some seconds later. One that ended by itself is
        not started again for a while."""
        if (self.alive or not POSSIBLE or time.monotonic() - self._begun_at < IDLE_S
                or psutil.virtual_memory().available < MEMORY):
            return
        self.close()
        self._begun_at = self._used_at = time.monotonic()
        place = self._settings.home / LOG
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as output:
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, cwd=process.ROOT,
                env=process.worker_environment(self._settings), bufsize=0, start_new_session=True)
        assert self._child.stdout is not None
        os.set_blocking(self._child.stdout.fileno(), False)

    def fork(self, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Forked | None:
        """A worker with these arguments; None where there is none to be had. Raises OSError where no log can be
        written."""
        if not self.ready:
            return None
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab"):
            pass
        order = {"arguments": list(arguments), "log": str(log), "environment": dict(environment)}
        self._used_at = time.monotonic()
        if not self._ask(order):
            _log.warning("No worker could be forked; see %s. Going on without.", LOG)
            self._give_up()
        if not self._told:
            return None
        pid = self._told.pop()
        self._living.add(pid)
        return Forked(pid, self)

    def ended(self, pid: int) -> int | None:
        """How that worker ended; None while it lives."""
        self._hear()
        return self._ended.get(pid)

    def tidy(self) -> None:
        """End it when it has not been needed for long; say it when it ended by itself."""
        self._hear()
        if self._child is not None and not self.alive:
            _log.warning("The process that forks workers ended (exit status %s); see %s. Going on without.",
                         self._child.returncode, LOG)
            self._give_up()
        if self._living:
            self._used_at = time.monotonic()
        if self._child is not None and time.monotonic() - self._used_at > IDLE_S:
            self.close()

    def close(self) -> None:
        """End it; its workers live on."""
        if self._child is None:
            return
        child = self._child
        self._hear()
        with contextlib.suppress(OSError):
            child.stdin.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1.0 if self._ready else 0.0)
        self._give_up()
        self._begun_at = float("-inf")

    def _give_up(self) -> None:
        """Kill it, and hear what it said last."""
        if self._child is None:
            return
        process.end_group(self._child.pid)
        self._child.wait()
        self._hear()
        for pipe in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._child, self._ready, self._held = None, False, b""
        self._living.clear()

    def _ask(self, order: Mapping[str, object]) -> bool:
        """Whether it answered with the number of a process."""
        assert self._child is not None and self._child.stdin is not None and self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps(order).encode() + b"\n")
        except OSError:
            return False
        deadline = time.monotonic() + ANSWER_S
        while not self._told and time.monotonic() < deadline and self.alive:
            select.select([self._child.stdout], [], [], 0.1)
            self._hear()
        return bool(self._told)

    def _hear(self) -> None:
        """Take in what it said since."""
        if self._child is None or self._child.stdout is None or self._child.stdout.closed:
            return
        with contextlib.suppress(BlockingIOError):
            while read := os.read(self._child.stdout.fileno(), 65536):
                self._held += read
        *lines, self._held = self._held.split(b"\n")
        for line in lines:
            said = json.loads(line)
            if said == READY:
                self._ready = True
            elif "pid" in said:
                self._told.append(int(said["pid"]))
            else:
                self._ended[int(said["ended"])] = int(said["status"])
                self._living.discard(int(said["ended"]))
