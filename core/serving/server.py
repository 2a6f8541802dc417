"""The model server: one process a data folder and device, which holds models for all pages. `python -m
core.serving.server`.

It is started when it is first asked for (`core.serving.client`), listens on loopback, answers only who has the key of
its file, and ends when nobody has asked for a while. What is asked and answered is in `core.serving.question`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import filelock
import torch
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from transformers.utils import logging as hf_logging

from core import logs, values
from core import settings as settings_module
from core.domain import codec
from core.domain import strength as dials
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError, ThawError
from core.jobs import process
from core.models import facts as model_facts
from core.models.held import give_back
from core.serving import memory, place
from core.serving.answering import Loaded, answer
from core.serving.place import Place
from core.serving.question import Question, Setting, Turnable, in_parts
from core.serving.shelf import Shelf
from core.serving.turning import Held
from core.serving.turns import Task, Turns
from core.settings import Settings
from core.store import Store

log = logging.getLogger("thaw.serving")

KEPT_S = 600.0
"""So long an answer can be asked for."""
LEFT_S = 150.0
"""A question that nobody has looked at for so long is dropped: its page is gone. (Browsers let a page in the background
act once a minute.)"""
MOST_WAIT_S = 10.0
"""Longest that a look waits for news."""
NICENESS = 5
"""Behind the pages, before the workers of the queue."""


class ModelServer:
    """What the process does, without its network."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store = Store(settings)
        self.shelf: Shelf[Loaded | Held] = Shelf(load=self._load, expected=self._expected, budget=self._budget,
                                                 free=_free)
        self.turns = Turns(self.shelf)
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()

    def ask(self, question: Question) -> str:
        """Put a question into the line; returns the task's id."""
        question.check()
        return self._line(Task(visitor=question.visitor, sides=question.sides,
                               work=lambda loaded, at: answer(loaded, question, at)))

    def measure(self, setting: Setting) -> str:
        """Put a setting of a run's dials into the line; returns the task's id."""
        dials.at(setting.dial, setting.value, blocks=setting.side.blocks, head=setting.head).check()
        return self._line(Task(visitor=setting.visitor, sides=(setting.side,),
                               work=lambda held, at: held.measure(setting)))

    def _line(self, task: Task) -> str:
        self.turns.ask(task)
        id = secrets.token_hex(8)
        with self._lock:
            self._tasks[id] = task
        return id

    def task(self, id: str) -> Task:
        """Raises NotFoundError for one that is not known (any more)."""
        with self._lock:
            found = self._tasks.get(id)
        if found is None:
            raise NotFoundError("This answer is no longer there.", why="Answers are kept for ten minutes.",
                                remedy="Ask again.")
        return found

    def tidy(self) -> None:
        """Drop what nobody asks for; keep to the budget, which running jobs may have narrowed."""
        now = time.monotonic()
        with self._lock:
            for id, task in list(self._tasks.items()):
                if task.ended is not None and now - task.ended > KEPT_S:
                    del self._tasks[id]
                elif task.ended is None and now - task.looked > LEFT_S:
                    self.turns.cancel(task)
        self.shelf.trim()

    def _load(self, side: Side) -> tuple[Loaded | Held, int]:
        loaded = Held(side, self.settings) if isinstance(side, Turnable) else Loaded(side, self.settings)
        log.info("Loaded %s (%d bytes)", side.text, loaded.size_bytes)
        give_back()
        return loaded, loaded.size_bytes

    def _expected(self, side: Side) -> int:
        recipe = values.recipe(side.folder)
        facts = model_facts.read(recipe.base_model, self.settings)
        copies = 3 if isinstance(side, Turnable) else 1
        return 0 if facts is None else copies * memory.weights_bytes(
            recipe, facts, untrained=side.which in (Which.BASE, Which.FOUR_BIT), four_bit=side.which is Which.FOUR_BIT)

    def _budget(self, held: int) -> int:
        free = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None
        return memory.budget(held, settings=self.settings, store=self._store, free=free)


def application(server: ModelServer, token: str) -> Starlette:
    """Its HTTP: POST /tasks and /settings, GET and DELETE /tasks/{id}, GET /state. JSON both ways; errors in three
    parts."""
    def guarded(act: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                return JSONResponse({"error": in_parts(DataError("Wrong key."))}, status_code=403)
            try:
                return JSONResponse(codec.to_json(await act(request)))
            except ThawError as error:
                status = 404 if isinstance(error, NotFoundError) else 400
                return JSONResponse({"error": in_parts(error)}, status_code=status)
            except ValueError as error:  # no JSON, or not of this form
                wrong = DataError("This question cannot be read.", why=str(error)[:200], remedy="Reload the page.")
                return JSONResponse({"error": in_parts(wrong)}, status_code=400)

        return endpoint

    async def ask(request: Request) -> dict[str, Any]:
        return {"task": server.ask(codec.read(Question, await request.json()))}

    async def measure(request: Request) -> dict[str, Any]:
        return {"task": server.measure(codec.read(Setting, await request.json()))}

    async def look(request: Request) -> Any:
        """wait: seconds to wait for news beyond the version that is known; negative versions know nothing."""
        task, known = server.task(request.path_params["id"]), int(request.query_params.get("known", -1))
        until = time.monotonic() + min(MOST_WAIT_S, float(request.query_params.get("wait", 0)))
        while task.version == known and task.ended is None and time.monotonic() < until:
            await asyncio.sleep(0.02)
        version = task.version
        return {**codec.to_json(server.turns.look(task)), "version": version}

    async def cancel(request: Request) -> dict[str, Any]:
        server.turns.cancel(server.task(request.path_params["id"]))
        return {}

    async def state(request: Request) -> dict[str, Any]:
        return {"pid": os.getpid(), "loaded": [side.text for side in server.shelf.sides],
                "bytes": server.shelf.held_bytes, "waiting": server.turns.waiting()}

    return Starlette(routes=[
        Route("/tasks", guarded(ask), methods=["POST"]), Route("/settings", guarded(measure), methods=["POST"]),
        Route("/tasks/{id}", guarded(look), methods=["GET"]),
        Route("/tasks/{id}", guarded(cancel), methods=["DELETE"]), Route("/state", guarded(state), methods=["GET"])])


def _free() -> None:
    """What models that are gone held goes back to the system and the device."""
    import gc

    gc.collect()
    give_back()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def serve(settings: Settings) -> int:
    """Serve until nobody has asked for `serving_idle_s`, or until told to end. 0 also where another server is alive."""
    lock = filelock.FileLock(settings.home / place.FOLDER / "server.lock")
    (settings.home / place.FOLDER).mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        log.info("Another model server has this data folder")
        return 0
    server, token = ModelServer(settings), secrets.token_urlsafe(24)
    me, listener = process.myself(), socket.create_server(("127.0.0.1", 0))
    here = Place(name=secrets.token_hex(4), host=process.host(), port=listener.getsockname()[1], token=token,
                 pid=me.pid, started=me.started, birth=me.birth)
    web = uvicorn.Server(uvicorn.Config(application(server, token), log_config=None, access_log=False,
                                        timeout_graceful_shutdown=1))
    listening = threading.Thread(target=web.run, kwargs={"sockets": [listener]}, daemon=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.turns.end())
    listening.start()
    place.write(here, settings)
    log.info("Model server %s (process %d) answers on port %d", here.name, here.pid, here.port)
    try:
        server.turns.run(lambda: _tend(server, here))
    finally:
        place.remove(here, settings)
        web.should_exit = True
        listening.join(timeout=3)
        lock.release()
    log.info("Model server %s ends", here.name)
    return 0


def _tend(server: ModelServer, here: Place) -> None:
    """Now and then: tidy up, and end where nobody has asked for long, or another place is announced."""
    server.tidy()
    there = place.read(server.settings)
    lost = there is None or there.name != here.name                # the data folder was deleted or replaced
    if lost or server.turns.idle_s() > server.settings.serving_idle_s:
        server.turns.end()


def main() -> int:
    """The command line; settings come from the environment."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = settings_module.load()
    settings_module.keep_private(settings)
    logs.to_file(settings, logs.SERVING, level=logging.ERROR)
    with contextlib.suppress(OSError):
        os.nice(max(0, NICENESS - os.nice(0)))
    torch.set_num_threads(process.threads(settings))
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    return serve(settings)


if __name__ == "__main__":
    process.leave(main())
