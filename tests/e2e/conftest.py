"""A real server on an empty data folder and a real browser (the system's Chromium)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from core.api import Thaw
from core.domain.run import JobKind
from core.settings import Settings

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class Server:
    """A running app."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def libraries(self) -> str:
        """Every file that the web process has mapped, one text."""
        return "\n".join(m.path for m in psutil.Process(self.process.pid).memory_maps())


def start(home: Path, port: int | None = None) -> Server:
    """Start the app and wait until it answers."""
    if port is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
    home.mkdir(parents=True, exist_ok=True)
    with (home / "web.log").open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(ROOT / "streamlit_app.py"), "--server.headless", "true",
             "--server.port", str(port), "--server.fileWatcherType", "none"],
            cwd=ROOT, env={**os.environ, "THAW_HOME": str(home)}, stdout=out, stderr=out)
    server = Server(home, port, child)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(server.url("_stcore/health"), timeout=2):
                return server
        except OSError:
            time.sleep(0.2)
    child.kill()
    raise TimeoutError((home / "web.log").read_text())


def end(server: Server) -> None:
    """End the app, its supervisors and their workers: every process that was started for this data folder."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("THAW_HOME") == str(server.home) and process.pid != os.getpid():
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    server.process.wait()


def away(page: Page, server: Server, *beside: Page, until: int | None = None, most_s: float = 1800) -> None:
    """Leave the page, and those beside it, until so many runs of its workspace have ended (unless said otherwise:
    whatever there is to do), and come back: a browser that draws them live on the same two cores takes a quarter of
    these."""
    addresses = {each: each.url for each in (page, *beside)}
    runs, workspace = Thaw(Settings(home=server.home)).runs, parse_qs(urlsplit(page.url).query)["ws"][0]
    for each in addresses:
        each.goto("about:blank")
    deadline = time.monotonic() + most_s
    while True:
        states = [run.status for run in runs.all(workspace, kind=None if until is None else JobKind.TRAIN)]
        if states and sum(state.final for state in states) >= (len(states) if until is None else until):
            break
        assert time.monotonic() < deadline, states
        time.sleep(1)
    for each, address in addresses.items():
        each.goto(address)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`serve()` starts the app on an empty data folder; everything it started ends with the test."""
    started: list[Server] = []

    def begin(name: str = "home", port: int | None = None) -> Server:
        started.append(start(tmp_path / name, port))
        return started[-1]

    yield begin
    for server in started:
        end(server)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh browser profile at 1280 x 900."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()
