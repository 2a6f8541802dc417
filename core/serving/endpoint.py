"""One model over HTTP: `/predict`, for language models `/v1/chat/completions`, and a page that describes both."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.domain import codec
from core.domain.dataset import Content, Shape
from core.domain.side import Side
from core.errors import DataError, FailureKind, ThawError
from core.serving import chat, openapi, side_names, speech
from core.serving.answering import Loaded, answer
from core.serving.question import Answer, Drawing, Question, State, check_text, from_parts, in_parts
from core.serving.turns import Task, Turns, Work
from core.settings import Settings

BATCH = 32
"""Texts that are answered in one piece of work."""
MOST_WAITING = 256
"""Requests of one machine that may wait."""
STATUS = {FailureKind.OUT_OF_MEMORY: 503, FailureKind.INTERNAL: 500, FailureKind.INTERRUPTED: 503}
"""Of HTTP, where it is not the request that is wrong."""


class _One:
    """The one model, which is always there."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded

    def fits(self, side: Side) -> bool:
        return True

    def spare(self) -> bool:
        return True

    def check(self, side: Side) -> None:
        """There is room: it is loaded."""

    def take(self, side: Side) -> Loaded:
        return self.loaded

    def give(self, side: Side) -> None:
        """It stays."""


class Endpoint:
    """What is answered, without the network."""

    def __init__(self, side: Side, settings: Settings, *, local: bool) -> None:
        """Loads the model. local: only this machine may ask."""
        self.side, self.settings, self.local = side, settings, local
        self.loaded = Loaded(side, settings)
        self.name = f"{side.folder.name}:{side_names.spoken(side)}"
        self.turns = Turns(_One(self.loaded), most_waiting=MOST_WAITING)

    @property
    def reads_pictures(self) -> bool:
        return self.loaded.model.task.card.content is Content.PICTURE

    @property
    def paths(self) -> list[str]:
        return ["/predict", *(["/v1/chat/completions", "/v1/models"] if self.loaded.speaks else [])]

    # -- what is done --

    def rows(self, texts: list[str], said: list[dict[str, Any]]) -> Work:
        """Classify many texts; answers are put into `said`."""
        def work(loaded: Loaded, at: int) -> Iterator[Answer]:
            for start in range(0, len(texts), BATCH):
                said.extend(loaded.model.predict(texts[start:start + BATCH]))
                yield Answer(state=State.WORKING)
            yield Answer(state=State.DONE)

        return work

    def picture(self, path: Path) -> Work:
        """Classify one."""
        question = Question(sides=(self.side,), picture=str(path))
        return lambda loaded, at: answer(loaded, question, 0)

    def text(self, prompt: str, drawing: Drawing, shape: Shape | None = None) -> Work:
        """Go on with a prompt."""
        return lambda loaded, at: speech.speak(loaded.model, prompt, drawing, so_far=Answer(state=State.WORKING),
                                               shape=shape)

    async def said(self, visitor: str, work: Work) -> AsyncIterator[Answer]:
        """What the model says so far, again and again. Raises ThawError where it failed. Closing it stops the work."""
        task, version = Task(visitor=visitor, sides=(self.side,), work=work), -1
        self.turns.ask(task)
        try:
            while True:
                if task.version != version:
                    version, now = task.version, task.answers[0]
                    if now.error is not None:
                        raise from_parts(now.error)
                    yield now
                    if now.state.final:
                        return
                await asyncio.sleep(0.01)
        finally:
            self.turns.cancel(task)


def application(served: Endpoint) -> Starlette:
    """Its HTTP."""
    paths = {"/predict": (_predict, ["POST"])}
    if served.loaded.speaks:
        paths |= {"/v1/chat/completions": (_chat, ["POST"]), "/v1/models": (_models, ["GET"])}
    document = openapi.document(served)

    async def described(request: Request) -> Response:
        return HTMLResponse(openapi.page(document), headers={"content-security-policy":
                                                             "default-src 'none'; style-src 'unsafe-inline'"})

    async def as_json(request: Request) -> Response:
        return JSONResponse(document)

    routes = [Route(path, _guarded(served, act), methods=methods) for path, (act, methods) in paths.items()]
    only_here = [Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", "::1"])]
    routes += [Route("/openapi.json", as_json), Route("/", described), Route("/docs", described)]
    return Starlette(routes=routes, middleware=only_here if served.local else [])


def server(served: Endpoint) -> uvicorn.Server:
    """What listens."""
    return uvicorn.Server(uvicorn.Config(application(served), log_config=None, access_log=False,
                                         timeout_graceful_shutdown=2))


def run(served: Endpoint, listener: socket.socket, web: uvicorn.Server | None = None) -> None:
    """Answer until Ctrl+C or SIGTERM. web: of `server`, where somebody else may end it."""
    working = threading.Thread(target=served.turns.run, daemon=True, name="model")
    working.start()
    with contextlib.suppress(KeyboardInterrupt):
        (web or server(served)).run(sockets=[listener])
    served.turns.end()
    working.join(timeout=5)


def _guarded(served: Endpoint, act: Callable[[Endpoint, Request], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            found = await act(served, request)
        except ThawError as error:
            told = {"message": str(error), "type": error.kind.value, **in_parts(error)}
            return JSONResponse({"error": told}, status_code=STATUS.get(error.kind, 400))
        return found if isinstance(found, Response) else JSONResponse(found)

    return endpoint


async def _body(served: Endpoint, request: Request) -> bytes:
    """What was sent, up to the largest upload."""
    most, found = served.settings.max_upload_mb * 1_000_000, bytearray()
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise DataError(f"What was sent is larger than the limit of {served.settings.max_upload_mb:,} MB.",
                            remedy="Send a part of it, or raise THAW_MAX_UPLOAD_MB and start again.")
    return bytes(found)


async def _json(served: Endpoint, request: Request) -> dict[str, Any]:
    """Raises DataError unless a JSON object was sent, and said to be one (so that no other web page can send it)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    wanted = "Send a JSON object with the header Content-Type: application/json; the page at / shows one."
    if kind != "application/json":
        raise DataError("The request is not JSON.", remedy=wanted,
                        why=f"Its content type is {kind[:80] or 'not said'}.")
    try:
        found = json.loads(await _body(served, request))
    except (ValueError, RecursionError) as error:
        raise DataError("The request is no JSON.", why=str(error)[:200], remedy=wanted) from error
    if not isinstance(found, dict):
        raise DataError("The request is no JSON object.", why="It is another JSON value.", remedy=wanted)
    return found


def _visitor(request: Request) -> str:
    return request.client.host if request.client else ""


async def _predict(served: Endpoint, request: Request) -> dict[str, Any]:
    about = {"model": served.name, "files": codec.to_json(served.loaded.files)}
    if served.reads_pictures:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture"
            path.write_bytes(await _picture(served, request))
            last = await _last(served.said(_visitor(request), served.picture(path)))
        return {"predictions": [{"label": last.label, "probabilities": last.probabilities}], **about}
    given = await _json(served, request)
    texts = given.get("texts", [given.get("text")])
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise DataError("There is no text in this request.", why="It needs `text`, or `texts`: a list of texts.",
                        remedy='Send for instance {"text": "A fine day"}.')
    if len(texts) > served.settings.max_rows:
        raise DataError(f"These are {len(texts):,} texts, more than the limit of {served.settings.max_rows:,}.",
                        remedy="Send them in parts.")
    for text in texts:
        check_text(text)
    if not served.loaded.speaks:
        found: list[dict[str, Any]] = []
        await _last(served.said(_visitor(request), served.rows(texts, found)))
        return {"predictions": found, **about}
    drawing = chat.drawing(given, temperature=0.0)
    said = [await _last(served.said(_visitor(request), served.text(text, drawing))) for text in texts]
    return {"predictions": [{"answer": each.text, "tokens": each.tokens, "ended": each.ended, "notes": each.notes}
                            for each in said], **about}


async def _picture(served: Endpoint, request: Request) -> bytes:
    """The bytes of the picture: the body itself, or base64 in JSON."""
    if request.headers.get("content-type", "").lower().startswith("image/"):
        return await _body(served, request)
    given = await _json(served, request)
    try:
        return base64.b64decode(str(given["picture"]).rpartition("base64,")[2], validate=True)
    except (KeyError, binascii.Error) as error:
        raise DataError("There is no picture in this request.", why="It needs `picture`, a picture file in base64.",
                        remedy="Send that, or the file itself with the header Content-Type: image/png.") from error


async def _last(said: AsyncIterator[Answer]) -> Answer:
    found = Answer()
    async for now in said:
        found = now
    return found


async def _models(served: Endpoint, request: Request) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": served.name, "object": "model", "owned_by": "thaw"}]}


async def _chat(served: Endpoint, request: Request) -> Any:
    given = await _json(served, request)
    asked = chat.read(given)
    work = served.text(asked.conversation, asked.drawing, Shape.CHAT)
    said = chat.until(served.said(_visitor(request), work), asked.stops)
    if not asked.streams:
        last = await _last(said)
        return chat.whole(last, served.name)
    first = await anext(said)  # an error before the first word is told as one, not inside of the stream
    return StreamingResponse(chat.stream(first, said, served.name), media_type="text/event-stream",
                             headers={"cache-control": "no-cache"})


