"""A workshop on one server: thirty people click through Thaw at once, and two on their own, beside the same on a bare
Streamlit page.

    make bench
    python benchmarks/workshop.py --people 30

Each person is a session of the server, spoken to as a browser speaks (Streamlit's own messages over a websocket),
without the browser: what is timed is what one server answers. A person opens a page, reads for two to eight seconds,
goes on to the next, through all pages and round again; fragments that follow the runs ask again by themselves, as they
do in a browser. Every person has a workspace with a finished run and three waiting ones, and all the while the server
trains one after the other, as in a real workshop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402
import websockets  # noqa: E402
from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: E402
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: E402

from benchmarks import feature_page  # noqa: E402
from core.analysis import aligned, row_facts, shift_report  # noqa: E402
from core.cli import sources  # noqa: E402
from core.domain.recipe import Recipe  # noqa: E402
from core.domain.run import JobKind  # noqa: E402
from core.domain.side import Side, Which  # noqa: E402
from core.settings import Settings  # noqa: E402
from core.store import Store  # noqa: E402
from core.store.jobs import NewJob  # noqa: E402
from pages._ui import sitemap  # noqa: E402

PAGES = [name for name, entry in sitemap.PAGES.items() if entry.shows in ("", "run")]
ROWS = 625
"""Test and validation rows of BBC News."""
PATIENCE_S = 300
"""A page that takes longer ends the benchmark."""
METHODS = ("full", "lora", "probe")
"""Waiting in each workspace, in this order. Workspaces take turns: beside the clicks one full fine-tuning after another
trains."""


class Person:
    """One session: opens pages, and asks again for fragments as often as the server wants it."""

    def __init__(self, url: str, workspace: str, runs: list[str], times: dict[str, list[float]]) -> None:
        self._url, self._workspace, self._runs, self._times = url, workspace, runs, times
        self._hashes: dict[str, str] = {}
        self._repeating: list[asyncio.Task[None]] = []
        self._finished = asyncio.Event()
        self.errors: list[str] = []

    async def stay(self, seconds: float, chance: random.Random, pages: list[str]) -> None:
        """Come within ten seconds, then click through `pages` for so long."""
        await asyncio.sleep(chance.uniform(0, 10))
        until = time.monotonic() + seconds
        async with websockets.connect(f"ws{self._url[4:]}_stcore/stream", subprotocols=["streamlit"], max_size=None,
                                      open_timeout=PATIENCE_S, ping_interval=None) as self._socket:
            listener = asyncio.create_task(self._listen())
            await self._open("", "")
            visit = 0
            while time.monotonic() < until:
                page = pages[visit % len(pages)]
                run = self._runs[visit % len(self._runs)] if page == "run" else self._runs[0]
                self._times[page or "bare page"].append(await self._open(page, run))
                await asyncio.sleep(chance.uniform(2, 8))
                visit += 1
            self._leave()
            listener.cancel()

    async def _open(self, page: str, run: str) -> float:
        self._leave()
        self._finished.clear()
        began = time.perf_counter()
        await self._send(page, query=f"&run={run}" if page in ("run", "features") else "")
        await asyncio.wait_for(self._finished.wait(), PATIENCE_S)
        return time.perf_counter() - began

    async def _send(self, page: str = "", *, query: str = "", fragment: str = "") -> None:
        message = BackMsg()
        client = message.rerun_script
        client.query_string = f"ws={self._workspace}{query}"
        client.page_script_hash = self._hashes.get(page, "")
        client.context_info.url = self._url + page
        client.fragment_id, client.is_auto_rerun = fragment, bool(fragment)
        await self._socket.send(message.SerializeToString())

    async def _listen(self) -> None:
        async for data in self._socket:
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "navigation":
                self._hashes = {page.url_pathname or "home": page.page_script_hash
                                for page in message.navigation.app_pages}
            elif kind == "auto_rerun":
                again = message.auto_rerun
                self._repeating.append(asyncio.create_task(self._repeat(again.fragment_id, again.interval)))
            elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
                self.errors.append(message.delta.new_element.exception.message)
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                self._finished.set()

    async def _repeat(self, fragment: str, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            await self._send(fragment=fragment)

    def _leave(self) -> None:
        while self._repeating:
            self._repeating.pop().cancel()


def visit(url: str, people: list[tuple[str, list[str]]], seconds: float, pages: list[str]) -> dict[str, Any]:
    """All of them at once; seconds a page, and what the server took of processor and memory meanwhile."""
    times: dict[str, list[float]] = defaultdict(list)
    server = next(p for p in psutil.process_iter() if url.split(":")[-1].strip("/") in _command(p)
                  and "streamlit" in _command(p))
    persons = [Person(url, workspace, runs, times) for workspace, runs in people]
    used, began = sum(server.cpu_times()[:2]), time.perf_counter()

    async def all_of_them() -> None:
        await asyncio.gather(*(person.stay(seconds, random.Random(i), pages) for i, person in enumerate(persons)))

    asyncio.run(all_of_them())
    if errors := [error for person in persons for error in person.errors]:
        raise RuntimeError(f"{len(errors)} errors were shown, the first: {errors[0]}")
    return {"people": len(people), "opened": sum(map(len, times.values())),
            "server_memory_bytes": server.memory_info().rss,
            "server_cores": (sum(server.cpu_times()[:2]) - used) / (time.perf_counter() - began),
            "pages": {page: {"median_s": statistics.median(found), "p95_s": sorted(found)[int(0.95 * (len(found) - 1))]}
                      for page, found in sorted(times.items())}}


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def prepare(home: Path, people: int) -> list[tuple[str, list[str]]]:
    """A workspace each, with a dataset, a finished run with its features and their comparison, and three runs on BBC
    News waiting."""
    settings = Settings(home=home, hub=False)
    names = [f"{feature_page.WORKSPACE}-{number}" for number in range(people)]
    done = [feature_page.make(home, ROWS, workspace=name, seed=number) for number, name in enumerate(names)]
    sources.dataset("bbc-news", shift=None, settings=settings, workspace=feature_page.WORKSPACE)
    store = Store(settings)
    for name, run in zip(names, done, strict=True):  # a worker leaves these numbers with the features
        folder = Path(store.jobs.get(name, run).folder)
        table = row_facts.table(f"{ROWS:016x}", settings=settings, workspace=name)
        shift_report.of(aligned.align(Side.of(folder, Which.BASE), Side.of(folder), settings=settings, table=table),
                       settings=settings)
    waiting = [store.jobs.submit([
        NewJob(workspace=name, kind=JobKind.TRAIN, name=method, runs_folder=settings.workspace(name) / "runs",
               recipe=Recipe(dataset="bbc-news", base_model="minilm", method=method, max_length=64))
        for method in METHODS])[0]
        for name in names]
    return [(name, [finished, queued]) for name, finished, queued in zip(names, done, waiting, strict=True)]


def main() -> int:
    """Two and many people on Thaw, many on a bare page, a run training beside them throughout; prints a table, writes
    workshop.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="thaw-workshop-") as folder:
        home = Path(folder) / "home"
        people = prepare(home, args.people)
        try:
            with feature_page.served(ROOT / "streamlit_app.py", THAW_HOME=str(home), THAW_HUB="0") as url:
                visit(url, people[:1], 20, PAGES)  # imports, and the first run begins to train
                few, many = (visit(url, people[:count], args.seconds, PAGES) for count in (2, args.people))
            with feature_page.served(ROOT / "benchmarks" / "plain_map.py", PLAIN_ROWS=str(ROWS)) as url:
                bare = visit(url, people, args.seconds, ("",))
            statuses = [run.status.value for workspace, _ in people
                        for run in Store(Settings(home=home)).jobs.list(workspace)]
        finally:
            feature_page.end_supervisors(home)
    report = {"few": few, "many": many, "bare": bare,
              "runs": {status: statuses.count(status) for status in sorted(set(statuses))}}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "workshop.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(markdown(report))
    return 0


def markdown(report: dict[str, Any]) -> str:
    """The table for people."""
    few, many, bare = report["few"], report["many"], report["bare"]
    lines = [f"| page | {few['people']} people, median | {many['people']} people, median | 95 % within |",
             "|---|---|---|---|"]
    for page, found in (*many["pages"].items(),
                        ("a bare Streamlit page with two scatter plots", bare["pages"]["bare page"])):
        alone = f"{few['pages'][page]['median_s']:.2f} s" if page in few["pages"] else ""
        lines.append(f"| {page} | {alone} | {found['median_s']:.2f} s | {found['p95_s']:.2f} s |")
    lines.append("")
    for who, found in (("Thaw", few), ("Thaw", many), ("bare page", bare)):
        lines.append(f"{who}, {found['people']} people: {found['opened']} pages opened, server "
                     f"{found['server_memory_bytes'] / 1e6:.0f} MB, {found['server_cores']:.2f} cores.")
    lines.append(f"Runs at the end: {', '.join(f'{count} {status}' for status, count in report['runs'].items())}.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
