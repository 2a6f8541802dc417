"""Start a supervisor when none is alive; ask whether one is. Called by the web server and the command line."""

from __future__ import annotations

import logging
import secrets
import subprocess
import time
from collections.abc import Sequence

from core import logs
from core.jobs import process
from core.settings import Settings
from core.store import Store
from core.store.supervisors import SupervisorRow

log = logging.getLogger("thaw.launch")

STARTING_S = 30.0
"""So long an announced supervisor may take to appear."""
SILENT_S = 60.0
"""A supervisor gives a sign of life about every half second; after so long even a living process is not counted on."""
PRIVATE = "command-"
"""Begins the id of a supervisor that a command runs for its own jobs: nobody else can count on it."""

_started: list[subprocess.Popen[bytes]] = []
"""Supervisors this process started: polled, so that an ended one does not stay a zombie."""


def alive(row: SupervisorRow) -> bool:
    """Whether that supervisor, of the web server or a command, is at work or about to be."""
    silent_s = _silent_s(row)
    if row.pid is None or row.host != process.host():
        return silent_s < STARTING_S
    return silent_s < SILENT_S and process.alive(row.pid, row.pid_created, row.birth)


def _silent_s(row: SupervisorRow) -> float:
    """Seconds since its last sign of life: on this machine by a clock that nobody sets, else by the time of day."""
    if row.uptime is None or row.host != process.host():
        return time.time() - row.heartbeat
    passed = process.uptime() - row.uptime
    return passed if passed >= 0 else float("inf")  # the machine was started anew since


def is_alive(store: Store, supervisor: str) -> bool:
    """Whether the supervisor of that id is alive."""
    return any(row.id == supervisor and alive(row) for row in store.supervisors.list())


def any_alive(store: Store) -> bool:
    """Whether somebody looks after the queue."""
    return any(_serves_all(row) for row in store.supervisors.list())


def _serves_all(row: SupervisorRow) -> bool:
    return alive(row) and not row.id.startswith(PRIVATE)


def trouble(store: Store) -> str | None:
    """Why the queue is not served at present, from a living supervisor; None when all is well, or there is none."""
    return next((row.trouble for row in store.supervisors.list() if row.trouble and alive(row)), None)


def ensure_supervisor(settings: Settings, store: Store | None = None, *, command: Sequence[str] = ()) -> bool:
    """Start a detached supervisor unless one is alive; True when one was started. Safe to call at once from anywhere.

    command: what starts it, before `--id ID`; by default `python -m core.jobs.supervisor`.
    """
    store = store or Store(settings)
    store.supervisors.visit()
    _started[:] = [child for child in _started if child.poll() is None]
    if any_alive(store):
        return False
    identity = secrets.token_hex(6)
    if not store.supervisors.reserve(identity, process.host(), alive=_serves_all, uptime=process.uptime()):
        return False
    path = settings.home / logs.SUPERVISOR
    logs.rotate(path)
    start = [*(command or process.python("core.jobs.supervisor")), "--id", identity]
    child = process.spawn(start, log=path, env=process.environment(settings))
    _started.append(child)
    log.info("Started supervisor %s (process %d); its log is %s", identity, child.pid, path)
    return True

