"""Asking the model server, which is started when it is not there. Standard library only; no torch."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import subprocess
import threading
import time
from typing import Any

from core import logs
from core.domain import codec
from core.errors import FailureKind, NotFoundError, ThawError
from core.jobs import process
from core.serving import place
from core.serving.place import Place
from core.serving.question import Answers, Question, Setting, from_parts
from core.settings import Settings

log = logging.getLogger("thaw.serving")

STARTING_S = 300.0
"""So long a server may take until it answers (it imports torch, on a busy machine)."""
ENDING_S = 30.0
"""So long a server that answers no more may take to end: one that was killed gives its memory back first."""
TIMEOUT_S = 30.0
"""Of one request; a look waits at most ten seconds."""

_starting = threading.Lock()
_started: list[subprocess.Popen[bytes]] = []
"""Servers that this process started: polled, so that an ended one does not stay a zombie."""


class ServerGone(ThawError):
    """The model server that had a question ended before it had answered."""

    kind = FailureKind.INTERRUPTED


def ask(question: Question, settings: Settings) -> str:
    """Put a question to the server, started if need be. Returns what `look` and `cancel` are given. Raises ThawErrors
    of `Question.check` and of a full line."""
    question.check()
    return _post("/tasks", codec.to_json(question), settings)


def measure(setting: Setting, settings: Settings) -> str:
    """The same for a setting of a run's dials; once it is done, it stands in the run's folder."""
    return _post("/settings", codec.to_json(setting), settings)


def _post(path: str, body: Any, settings: Settings) -> str:
    for attempt in (1, 2):
        here = ensure(settings)
        try:
            return f"{here.name}:{_request(here, 'POST', path, body)['task']}"
        except ServerGone:  # it ended just now, as one does that was idle for long
            if attempt == 2:
                raise
            until = time.monotonic() + ENDING_S
            while here.alive() and time.monotonic() < until:
                time.sleep(0.05)
    raise AssertionError("unreachable")


def look(handle: str, settings: Settings, *, known: int = -1, wait_s: float = 0.0) -> tuple[Answers, int]:
    """(how far a question is, version). known: a version; waits up to `wait_s` for a later one.

    Raises ServerGone where the server that had it is no longer alive, NotFoundError where the answer was dropped.
    """
    here, task = _of(handle, settings)
    found = _request(here, "GET", f"/tasks/{task}?known={known}&wait={wait_s:g}")
    return codec.from_json(Answers, found), int(found["version"])


def cancel(handle: str, settings: Settings) -> None:
    """Stop a question; what was said so far stays. Where nobody works on it any more, nothing is done."""
    with contextlib.suppress(ServerGone, NotFoundError):
        here, task = _of(handle, settings)
        _request(here, "DELETE", f"/tasks/{task}")


def state(settings: Settings) -> dict[str, Any] | None:
    """What the server says of itself ({"pid", "loaded", "bytes", "waiting"}); None where none is alive."""
    here = place.read(settings)
    if here is None or not here.alive():
        return None
    try:
        return _request(here, "GET", "/state")
    except ServerGone:
        return None


def ensure(settings: Settings) -> Place:
    """A living server: the one that is there, else a new one. Raises ThawError when none comes up."""
    with _starting:
        _started[:] = [child for child in _started if child.poll() is None]
        if (here := place.read(settings)) is not None and here.alive():
            return here
        path = settings.home / logs.SERVING
        path.parent.mkdir(parents=True, exist_ok=True)
        logs.rotate(path)
        child = process.spawn(process.python("core.serving.server"), log=path, env=process.worker_environment(settings))
        _started.append(child)
        log.info("Started the model server (process %d); its log is %s", child.pid, path)
        return _wait(settings, child)


def _wait(settings: Settings, child: subprocess.Popen[bytes]) -> Place:
    until = time.monotonic() + STARTING_S
    while time.monotonic() < until:
        if (here := place.read(settings)) is not None and here.alive():
            return here
        if child.poll() not in (None, 0):
            break
        time.sleep(0.05)
    ended = child.poll()
    why = f"Its process ended with status {ended}" if ended is not None else f"It did not answer in {STARTING_S:g} s"
    raise ThawError("The process that holds the models could not be started.", kind=FailureKind.INTERRUPTED,
                    why=f"{why}; {logs.SERVING} in the data folder has the details.",
                    remedy="Try again; if it stays so, free memory by stopping runs or closing other programs.")


def _of(handle: str, settings: Settings) -> tuple[Place, str]:
    name, _, task = handle.partition(":")
    here = place.read(settings)
    if here is None or here.name != name or not here.alive():
        raise _gone()
    return here, task


def _gone() -> ServerGone:
    return ServerGone("The process that holds the models ended before it had answered.",
                      why="It was ended from outside; most often memory had run out.",
                      remedy="Ask again: it is started anew. If it ends again, choose fewer models, or wait until the "
                             "running jobs are done.")


def _request(here: Place, method: str, path: str, body: Any = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body).encode(),
                           headers={"Authorization": f"Bearer {here.token}", "Content-Type": "application/json"})
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        if here.alive() and isinstance(error, TimeoutError):
            raise ThawError("The process that holds the models does not answer.", kind=FailureKind.INTERRUPTED,
                            why=f"It is alive (process {here.pid}) and silent.", remedy="Wait a little and try again."
                            ) from error
        raise _gone() from error
    finally:
        connection.close()
    if answer.status >= 400:
        told = from_parts(found["error"])
        raise NotFoundError(told.what, why=told.why, remedy=told.remedy) if answer.status == 404 else told
    return dict(found)
