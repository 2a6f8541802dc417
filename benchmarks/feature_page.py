"""Timings of the Features page in a real browser, on made-up features: opening it, and a lasso; beside them
`plain_map.py`."""

from __future__ import annotations

import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core import files  # noqa: E402
from core.analysis import feature_paths  # noqa: E402
from core.analysis.feature_files import BlockFeatures  # noqa: E402
from core.analysis.sample import DEFAULT_ROWS  # noqa: E402
from core.api import Thaw  # noqa: E402
from core.cli import sources  # noqa: E402
from core.domain import codec  # noqa: E402
from core.domain.dataset import Dataset, Task  # noqa: E402
from core.domain.recipe import Recipe  # noqa: E402
from core.domain.run import Interval, JobKind, Result, Status  # noqa: E402
from core.models import facts as facts_module  # noqa: E402
from core.settings import Settings, load  # noqa: E402
from core.store import Store  # noqa: E402
from core.store.jobs import NewJob  # noqa: E402

WORKSPACE = "bench-workspace"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-sync"]
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def measure(repeats: int) -> list[dict[str, Any]]:
    """Both timings, each beside the peer's."""
    chromium = next((path for name in ("chromium", "chromium-browser", "google-chrome")
                     if (path := shutil.which(name))), None)
    if chromium is None:
        print("No Chromium here: the page was not timed.", file=sys.stderr)
        return []
    from playwright.sync_api import sync_playwright

    opened, lassoed = {}, {}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        for rows in (2000, 5000):
            home = Path(folder) / str(rows)
            run = make(home, rows)
            with served(ROOT / "streamlit_app.py", THAW_HOME=str(home), THAW_HUB="0") as url:
                address = f"{url}features?ws={WORKSPACE}&run={run}&rows={rows}"
                found = drive(playwright, chromium, address, ".st-key-features_map canvas.over", "Search rows", repeats)
                opened[rows], lassoed[rows] = found
            end_supervisors(home)
        with served(ROOT / "benchmarks" / "plain_map.py", PLAIN_ROWS="5000") as url:
            peer = drive(playwright, chromium, url, ".st-key-map .js-plotly-plot", "nothing selected", repeats)
    return [{"what": "page opens, 2,000 rows", "thaw_s": opened[2000],
             "peer": "Streamlit page with the two panes alone", "peer_s": peer[0], "wanted": "3 s"},
            {"what": "lasso to update, 5,000 points a pane", "thaw_s": lassoed[5000],
             "peer": "the same two panes in Plotly", "peer_s": peer[1], "wanted": "1 s"}]


def drive(playwright: Any, chromium: str, address: str, target: str, last: str, repeats: int) -> tuple[float, float]:
    """Median seconds to open (until the last part stands and is painted) and from letting go of a lasso to its count on
    screen."""
    browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    opens, lassos = [], []
    for _ in range(repeats + 1):  # the first one warms server and browser
        began = time.perf_counter()
        page.goto(address)
        page.get_by_text(last).first.wait_for(timeout=120_000)
        page.locator(target).first.wait_for(timeout=120_000)
        page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')")
        page.evaluate(PAINTED)
        opens.append(time.perf_counter() - began)
        page.wait_for_timeout(1500)
    for number in range(repeats):
        lassos.append(lasso(page, target, 60 + 12 * number))
        page.wait_for_timeout(1500)
    browser.close()
    return statistics.median(opens[1:]), statistics.median(lassos)


def lasso(page: Any, target: str, radius: float) -> float:
    """Seconds from letting go to a new count of selected rows, painted."""
    place = page.locator(target).first
    place.scroll_into_view_if_needed()
    page.wait_for_timeout(800)
    box, note = place.bounding_box(), page.get_by_text("rows selected")
    before = note.inner_text() if note.count() else ""
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    page.mouse.move(x + radius, y)
    page.mouse.down()
    for step in range(1, 37):
        page.mouse.move(x + radius * math.cos(step * math.pi / 18), y + radius * math.sin(step * math.pi / 18))
    began = time.perf_counter()
    page.mouse.up()
    page.wait_for_function("""old => [...document.querySelectorAll('[data-testid=stMarkdown]')]
                           .some(e => e.innerText.includes('rows selected') && e.innerText !== old)""", arg=before)
    page.evaluate(PAINTED)
    return time.perf_counter() - began


@contextmanager
def served(script: Path, **environment: str) -> Iterator[str]:
    """A Streamlit server of its own; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true", "--server.port",
               str(port), "--server.fileWatcherType", "none"]
    child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{url}_stcore/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        child.terminate()
        child.wait()


def end_supervisors(home: Path) -> None:
    """End what the server started for this data folder."""
    import psutil

    for process in psutil.process_iter():
        try:
            if process.environ().get("THAW_HOME") == str(home) and process.pid != os.getpid():
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def make(home: Path, n: int, *, workspace: str = WORKSPACE, seed: int = 0) -> str:
    """A workspace with one finished run whose features of n rows are on disk, the tuned ones by `seed`; returns the
    run's id."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    settings = Settings(home=home, hub=False)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "assets").exists():
        load().assets.mkdir(parents=True, exist_ok=True)
        (home / "assets").symlink_to(load().assets)
    if facts_module.read("minilm", settings) is None:
        sources.model("minilm", settings=settings, workspace=workspace)
    classes = ("business", "entertainment", "politics", "sport", "tech")
    rng = np.random.default_rng(0)
    words = np.array(["market", "film", "vote", "match", "chip", "said", "year", "people", "first", "company",
                      "after", "would"])
    labels = np.arange(n) % len(classes)
    dataset = Dataset(id=f"{n:016x}", name="made", task=Task.TEXT_CLASSIFICATION, content_hash=f"{n:016x}",
                      classes=classes, counts={"test": dict.fromkeys(classes, n // len(classes))}, source="made",
                      rows_read=n, rows_kept=n, mean_length=120.0)
    folder = settings.workspace(workspace) / "datasets" / dataset.id
    folder.mkdir(parents=True)
    texts = [" ".join(rng.choice(words, 250)) for _ in range(n)]
    parquet.write_table(pa.table({"row_id": pa.array(range(n), pa.int64()), "text": texts,
                                  "label": pa.array(labels, pa.int32()),
                                  "split": ["test"] * n}), folder / "rows.parquet")
    files.write_json(folder / "dataset.json", codec.to_json(dataset))
    return _run(settings, workspace, dataset, labels, seed)


def _run(settings: Settings, workspace: str, dataset: Dataset, labels: np.ndarray, seed: int) -> str:
    store, n = Store(settings), len(labels)
    recipe = Recipe(dataset=dataset.id, base_model="minilm", method="full")
    Thaw(settings).touch_workspace(workspace)
    run = store.jobs.submit([NewJob(workspace=workspace, kind=JobKind.TRAIN, name="made", recipe=recipe,
                                    runs_folder=settings.workspace(workspace) / "runs")])[0]
    claim = store.queue.claim(supervisor="bench", host="bench", slots=1)
    if claim is None or claim.run.id != run:
        raise RuntimeError("another run was waiting")
    store.queue.begin(run, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
    path = Path(claim.run.folder)
    score = Interval(value=0.9, low=0.87, high=0.93)
    files.write_json(path / "recipe.json", recipe.to_json())
    files.write_json(path / "artifact" / "labels.json", {"classes": list(dataset.classes), "precision": "fp32"})
    files.write_json(path / "result.json", codec.to_json(Result(
        metrics={"test": {"accuracy": score, "macro_f1": score}}, trainable_params=1000, total_params=22_000_000,
        seconds=60.0, phase_seconds={"training": 50.0}, peak_memory_bytes=4 * 10**8, estimated_memory_bytes=4 * 10**8,
        artifact_bytes=10**6, steps=40, samples=640, precision="fp32", device="cpu",
        dataset_hash=dataset.content_hash)))
    where = feature_paths.of_run(path, settings=settings, rows=max(n, DEFAULT_ROWS))
    rng, blocks = np.random.default_rng(1), facts_module.read("minilm", settings).blocks  # type: ignore[union-attr]
    decay = np.exp(-np.arange(384) / 60)
    pull = 0.6 * rng.standard_normal((5, 384)) * decay
    base = {b.name: rng.standard_normal((n, 384)) * decay + pull[labels] for b in blocks}
    rng = np.random.default_rng((2, seed))
    tuned = {b.name: base[b.name] + b.index / len(blocks) * (pull[labels] + 0.3 * rng.standard_normal((n, 384)) * decay)
             for b in blocks}
    for place, features in ((where.base, base), (where.tuned, tuned)):
        BlockFeatures(row_ids=np.arange(n), blocks=features).save(place)
    store.queue.finish(run, fence=claim.fence, status=Status.DONE)
    return run
