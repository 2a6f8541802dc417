"""What stands before the pages: other machines, foreign frames, uploads nobody asked for, and files of the data
folder."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core import files
from core import settings as settings_module
from core.settings import Settings
from core.store import Store
from pages._ui import downloads, server
from tests.conftest import WORKSPACE


def answer(scope: dict[str, Any], *, public: bool) -> list[dict[str, Any]]:
    """What the gate sends for a request, with an app behind it that answers 200."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"SAMEORIGIN")]})
        await send({"type": "http.response.body", "body": b"page"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(server.Gate(app, public=public)(scope, receive, send))
    return sent


def request(host: str | None, *, path: str = "/", method: str = "GET", kind: str = "http") -> dict[str, Any]:
    return {"type": kind, "path": path, "method": method, "headers": [],
            "client": None if host is None else (host, 40000)}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1", None])
def test_this_machine_is_answered(host: str | None) -> None:
    assert answer(request(host), public=False)[0]["status"] == 200


@pytest.mark.parametrize("host", ["192.168.1.7", "10.0.0.1", "8.8.8.8", "fe80::1", "::ffff:10.0.0.1", "somewhere"])
def test_other_machines_are_answered_only_when_told_to(host: str) -> None:
    refused = answer(request(host), public=False)
    assert refused[0]["status"] == 403 and b"THAW_PUBLIC=1" in refused[1]["body"]
    assert answer(request(host, kind="websocket"), public=False)[0]["type"] == "websocket.close"
    assert answer(request(host), public=True)[0]["status"] == 200


def test_no_page_may_be_framed_and_no_address_is_handed_on() -> None:
    headers = dict(answer(request("127.0.0.1"), public=False)[0]["headers"])
    assert headers[b"content-security-policy"] == b"frame-ancestors 'none'"
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert headers[b"x-frame-options"] == b"SAMEORIGIN"  # what a route says of itself stays


def test_an_upload_needs_a_page_that_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_uploader_shown", {"asks": True, "reads": False})
    for session, status in (("asks", 200), ("reads", 403), ("stranger", 403)):
        sent = answer(request("127.0.0.1", path=f"/_stcore/upload_file/{session}/some-file", method="PUT"),
                      public=False)
        assert sent[0]["status"] == status
    sent = answer(request("127.0.0.1", path="/base/_stcore/upload_file/stranger/some-file", method="PUT"), public=False)
    assert sent[0]["status"] == 403
    assert answer(request("127.0.0.1", path="/_stcore/upload_file/stranger/some-file", method="DELETE"),
                  public=False)[0]["status"] == 200


def test_the_server_binds_to_this_machine() -> None:
    import tomllib

    config = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text())
    assert config["server"]["address"] == "127.0.0.1"


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_the_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        settings = Settings(home=home)
        settings_module.keep_private(settings)
        Store(settings)
        files.write_json(home / "workspaces" / "w" / "a.json", {})
        (home / "plain.txt").write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*")}
    assert len(modes) >= 4 and {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}


@pytest.mark.parametrize(("path", "query", "location"), [
    ("/nonsense", b"", "/?lost=nonsense"), ("/run/deep/er", b"ws=abc&run=1", "/?ws=abc&run=1&lost=run%2Fdeep%2Fer"),
    ("/" + "x" * 500, b"", "/?lost=" + "x" * 80), ("/home", b"ws=abc", "/?ws=abc"), ("/\r\nx-a: b", b"",
                                                                                "/?lost=x-a%3A+b")])
def test_an_address_without_a_page_leads_home(path: str, query: bytes, location: str) -> None:
    asked = {**request("127.0.0.1", path=path), "query_string": query, "headers": [(b"accept", b"text/html,*/*")]}
    sent = answer(asked, public=False)
    assert sent[0]["status"] == 302
    assert dict(sent[0]["headers"])[b"location"].decode().replace("%0D%0A", "") == location


@pytest.mark.parametrize("path", ["/", "/run", "/data/", "/_stcore/health", "/static/js/index.js", "/media/x.png",
                                  "/files/workspace/run.zip"])
def test_what_can_be_answered_is_answered(path: str) -> None:
    asked = {**request("127.0.0.1", path=path), "headers": [(b"accept", b"text/html")]}
    assert answer(asked, public=False)[0]["status"] == 200


def test_an_artifact_is_sent_from_disk_to_whoever_has_the_key(settings, ended, cold) -> None:
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    client = TestClient(Starlette(routes=downloads.routes()))
    sent = client.get("/" + downloads.artifact_address(WORKSPACE, ended.done[1]))
    assert sent.status_code == 200 and sent.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(sent.content)) as archive:
        assert f"thaw-{ended.done[1]}/artifact/labels.json" in archive.namelist()
    for ws, run in (("another-workspace-key", ended.done[1]), (WORKSPACE, ended.failed), (WORKSPACE, "../../etc"),
                    (WORKSPACE, "none")):
        assert client.get("/" + downloads.artifact_address(ws, run)).status_code == 404, run
