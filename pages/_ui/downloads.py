"""Files that are too large to be held in memory: sent from disk as they are read, at an address beside the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from core import settings
from core.api import Thaw
from core.errors import ThawError

ROOM = "files"
"""First part of these addresses; the second is the workspace's key, as in the address of a page."""


def artifact_address(ws: str, run_id: str) -> str:
    """Where a run's artifact is fetched from, seen from any page."""
    return f"{ROOM}/{quote(ws, safe='')}/{quote(run_id, safe='')}.zip"


def _artifact(request: Request) -> Response:
    ws, run_id = request.path_params["ws"], request.path_params["run"].removesuffix(".zip")
    return _sent(lambda: Thaw(settings.load()).take_home.artifact(ws, run_id))


def export_address(ws: str, run_id: str, form: str) -> str:
    """Where an export of a run is fetched from."""
    return f"{ROOM}/{quote(ws, safe='')}/{quote(run_id, safe='')}/{quote(form, safe='')}.zip"


def _export(request: Request) -> Response:
    given = request.path_params
    return _sent(lambda: Thaw(settings.load()).exports.download(given["ws"], given["run"],
                                                                given["form"].removesuffix(".zip")))


def _sent(make: Callable[[], tuple[str, Iterator[bytes]]]) -> Response:
    """What is made, as a file, or in words why not."""
    try:
        name, pieces = make()
    except ThawError as error:
        return PlainTextResponse("\n".join((error.what, error.why, error.remedy)), status_code=404)
    return StreamingResponse(pieces, media_type="application/zip", headers={
        "content-disposition": f'attachment; filename="{name}.zip"', "cache-control": "no-store"})


def routes() -> list[Route]:
    """For the server."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    room = f"{'/' + base if base else ''}/{ROOM}/{{ws}}/{{run}}"
    return [Route(room, _artifact, methods=["GET"]), Route(f"{room}/{{form}}", _export, methods=["GET"])]
