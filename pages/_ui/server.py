"""What stands between the network and the pages: who may connect, what browsers may do with an answer, which uploads
are taken.

`streamlit run streamlit_app.py` finds the app there and puts this in front of Streamlit's own routes.
"""

from __future__ import annotations

import ctypes
import ipaddress
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core import settings
from core.errors import ThawError
from pages._ui import downloads, sitemap

log = logging.getLogger("thaw.server")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEADERS = {
    "content-security-policy": "frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the address is the key to the workspace
}
NOT_PAGES = frozenset({"_stcore", "static", "media", "component", "app", "favicon.ico", downloads.ROOM})
"""First parts of addresses that are no pages: Streamlit's own, and files."""
LOST = "lost"
"""In the query: the page that somebody asked for and that is not there."""
UPLOADS = "/_stcore/upload_file/"
UPLOADS_HELD = 64
"""Files of one session that may wait in memory; the upload page takes each to disk as soon as it is there."""
ONLY_HERE = ("This Thaw answers only the machine it runs on. Whoever runs it can open it to others: set THAW_PUBLIC=1 "
             "and start it again with --server.address 0.0.0.0.")
NO_UPLOADER = "No page of this session asks for a file. Open the Data page and choose the file there."
_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's malloc.h."""
_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD, likewise, in bytes."""
_uploader_shown: dict[str, bool] = {}
"""Session -> whether the page that it has open shows an uploader."""


class Gate:
    """ASGI middleware (asgi.readthedocs.io): refuses strangers and unexpected uploads, adds headers to every answer."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], *, public: bool | None = None) -> None:
        self.app = app
        self.public = is_public() if public is None else public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if not self.public and not is_this_machine(scope):
            await _refuse(scope, send, ONLY_HERE)
        elif scope["type"] == "http" and not takes_upload(scope):
            await _refuse(scope, send, NO_UPLOADER)
        elif (lost := no_such_page(scope)) is not None:
            await _lead_home(scope, send, lost)
        else:
            await self.app(scope, receive, _with_headers(send))


def is_public() -> bool:
    """Whether other machines are answered; not while the settings cannot be read, which every page then says."""
    try:
        return settings.load().public
    except ThawError:
        return False


def keep_private() -> None:
    """Close the data folder and all new files to other accounts; where that fails, every page says why by itself."""
    try:
        settings.keep_private(settings.load())
    except (ThawError, OSError) as error:
        log.error("The data folder could not be closed to other accounts: %s", error)


def few_arenas() -> None:
    """Let all threads take memory from two places. Each session runs in threads of its own, and glibc keeps a place for
    each of up to eight a core, which fill up and are not given back. What is larger than 256 KiB gets a mapping of its
    own and leaves with it; by itself glibc raises that bound with every large piece. Elsewhere nothing is done."""
    try:
        library = ctypes.CDLL(None)
        library.mallopt(_ARENA_MAX, 2)
        library.mallopt(_MMAP_THRESHOLD, 256 * 1024)
    except (OSError, AttributeError, TypeError):
        log.debug("This C library has no arenas to limit.")


def is_this_machine(scope: Scope) -> bool:
    """Whether the peer is a loopback address (a proxy on this machine counts), or no network at all."""
    host = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return not host
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def takes_upload(scope: Scope) -> bool:
    """False for a file sent in a session whose open page has no uploader, or which holds too many already."""
    _, found, rest = scope["path"].partition(UPLOADS)
    if not found or scope["method"] != "PUT":
        return True
    session = rest.split("/")[0]
    held = getattr(Runtime.instance().uploaded_file_mgr, "file_storage", {}) if Runtime.exists() else {}
    return _uploader_shown.get(session, False) and len(held.get(session, ())) < UPLOADS_HELD


def no_such_page(scope: Scope) -> str | None:
    """The path that a browser asks to open where there is no such page; None for everything that can be answered."""
    headers = {name.lower(): value for name, value in scope.get("headers", ())}
    if scope["type"] != "http" or scope["method"] != "GET" or b"text/html" not in headers.get(b"accept", b""):
        return None
    path = scope["path"].strip("/")
    known = not path or path in sitemap.PAGES or path.split("/")[0] in NOT_PAGES or st.get_option("server.baseUrlPath")
    return None if known and path != sitemap.HOME else path


def note_uploader(shown: bool) -> None:
    """Note whether the page that this session has open shows an uploader: called by the entrypoint for every page."""
    context = get_script_run_ctx()
    if context is None:
        return
    if len(_uploader_shown) > 1000 and Runtime.exists():
        for session in [s for s in list(_uploader_shown) if not Runtime.instance().is_active_session(s)]:
            _uploader_shown.pop(session, None)
    _uploader_shown[context.session_id] = shown


def open_to_others() -> None:
    """Say in the sidebar that others can open this server, where they can."""
    if is_public():
        with st.sidebar:
            st.caption(":material/public: This server is open to other machines (THAW_PUBLIC=1): everybody who can "
                       "reach it can use it.")


async def _lead_home(scope: Scope, send: Send, lost: str) -> None:
    """To the home page with all that stood in the address; `lost` names the page that is not there."""
    query = scope.get("query_string", b"").decode("latin-1")
    named = "" if lost == sitemap.HOME else urlencode({LOST: lost[:80]})
    target = "/?" + "&".join(part for part in (query, named) if part)
    headers = {"location": target, "content-length": "0", **HEADERS}
    await send({"type": "http.response.start", "status": 302,
                "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(scope: Scope, send: Send, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": text[:120]})
        return
    headers = {"content-type": "text/plain; charset=utf-8", **HEADERS}
    await send({"type": "http.response.start", "status": 403,
                "headers": [(k.encode(), v.encode()) for k, v in headers.items()]})
    await send({"type": "http.response.body", "body": text.encode()})


def _with_headers(send: Send) -> Send:
    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in there]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return answer


MIDDLEWARE = [Middleware(Gate)]
