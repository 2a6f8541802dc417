"""Large files through the app as a person brings them: upload in a real browser, the web process's memory watched from
outside."""

from __future__ import annotations

import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks import made_files

ROWS, WORDS = 190_000, 146
"""About 195 MB of CSV, within the default limits of 200 MB and 200,000 rows."""
PICTURES, SIDE = 20_000, 96
_SAMPLE_S = 0.1
_TIMEOUT_MS = 300_000


class Watch(threading.Thread):
    """The most memory that a process has, sampled until `stop`."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process, self._ended = psutil.Process(pid), threading.Event()
        self.most_bytes = 0

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            self.most_bytes = max(self.most_bytes, self._process.memory_info().rss)

    def stop(self) -> int:
        """The most bytes seen."""
        self._ended.set()
        self.join()
        return self.most_bytes


def measure(home: Path) -> list[dict[str, Any]]:
    """Import 195 MB of CSV and 20,000 pictures through the app; seconds, growth of the web process, progress texts
    seen."""
    from playwright.sync_api import sync_playwright

    from tests.e2e.conftest import CHROMIUM, FLAGS

    print("making the large files ...", file=sys.stderr, flush=True)
    files = {"CSV": (made_files.table(home / "large.csv", count=ROWS, words=WORDS), ROWS),
             "pictures, ZIP": (made_files.picture_archive(home / "large.zip", count=PICTURES, side=SIDE), PICTURES)}
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for kind, (path, rows) in files.items():
            print(f"{kind}, {path.stat().st_size / 1e6:.0f} MB, through the app ...", file=sys.stderr, flush=True)
            measured = _through_the_app(browser, path, home / kind[:3], rows)
            found.append({"kind": kind, "bytes": path.stat().st_size, "rows": rows} | measured)
        browser.close()
    return found


def _through_the_app(browser: Any, path: Path, home: Path, rows: int) -> dict[str, Any]:
    """Start the app, upload and import one file. The web process's growth counts from the drawn Data page."""
    from tests.e2e.conftest import end, start

    server = start(home)
    try:
        page = browser.new_page()
        page.goto(server.url("data"))
        page.locator("input[type=file]").wait_for(state="attached", timeout=60_000)
        time.sleep(3)
        before = psutil.Process(server.process.pid).memory_info().rss
        watch = Watch(server.process.pid)
        watch.start()
        begun = time.perf_counter()
        page.locator("input[type=file]").set_input_files(str(path))
        page.get_by_role("button", name="Import", exact=True).click(timeout=_TIMEOUT_MS)
        seen: set[str] = set()
        report = page.get_by_role("heading", name="Import report")
        while not report.count():
            bar = page.get_by_test_id("stProgress")
            if bar.count() and (text := bar.first.inner_text(timeout=5_000)):
                seen.add(text)
            if time.perf_counter() - begun > _TIMEOUT_MS / 1000:
                raise TimeoutError(f"{path.name} was not imported in time")
            time.sleep(0.2)
        seconds = time.perf_counter() - begun
        kept = re.search(r"([\d,]+) usable", page.get_by_test_id("stMain").inner_text())
        if kept is None or int(kept[1].replace(",", "")) != rows:
            raise RuntimeError(f"{path.name}: kept {kept and kept[1]} of {rows} rows")
        page.get_by_role("button", name="Open the dataset").click()
        page.get_by_role("heading", name="Rows by class and split").wait_for(timeout=60_000)
        time.sleep(2)
        page.close()
        return {"seconds": seconds, "growth_bytes": watch.stop() - before, "progress_seen": len(seen),
                "progress": sorted(seen)[:20]}
    finally:
        end(server)
