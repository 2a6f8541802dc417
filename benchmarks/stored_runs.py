"""How long pages take with two hundred finished runs in the workspace: Runs, Compare, Compare with all of them, and an
experiment that asks a question.

    python benchmarks/stored_runs.py [--runs 200] [--rows 1000]

The runs are written as workers leave them (results, predictions, curves), on made-up rows; no model is trained. Each
page is drawn in Streamlit's own test runner: once in a process that has shown one experiment ("first"), then again
("again"). The browser's time to draw is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
WORKSPACE = "stored-runs-benchmark"
CLASSES, STEPS = 5, 60
METHODS = ("probe", "lora", "full", "partial", "bitfit")
FIELDS = ("first_s", "first_cpu_s", "again_s")
PAGES = ("runs", "compare", "experiment", "all")


def main() -> int:
    """Write the runs, time every page, print the table, write stored_runs.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1000, help="test rows of each run")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--page", choices=PAGES, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true", help="where the first drawing spends its time")
    args = parser.parse_args()
    if args.page:
        print(json.dumps(draw(args.home, args.page, profile=args.profile)))
        return 0
    records = []
    with tempfile.TemporaryDirectory(prefix="thaw-bench-") as folder:
        write(Path(folder), runs=args.runs, rows=args.rows)
        for page in PAGES:
            own = [sys.executable, __file__, "--page", page, "--home", folder]
            said = subprocess.run(own, cwd=ROOT, capture_output=True, text=True, check=True).stdout
            records.append({"page": page, "runs": args.runs, "rows": args.rows} | json.loads(said.splitlines()[-1]))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "stored_runs.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    print("| page | first | of it processor | again |\n|---|---|---|---|")
    for record in records:
        print(f"| {record['page']} | " + " | ".join(f"{record[name]:.2f} s" for name in FIELDS) + " |")
    return 0


def draw(home: Path, page: str, *, profile: bool) -> dict[str, Any]:
    """Seconds of a page drawn once in this process, and again."""
    os.environ |= {"THAW_HOME": str(home), "THAW_HUB": "0"}
    import runpy

    from streamlit.runtime.scriptrunner import script_runner
    from streamlit.testing.v1 import AppTest

    from core.api import Thaw
    from core.settings import Settings

    script_runner._mpa_v1 = lambda path: runpy.run_path(str(path), run_name="__main__")  # type: ignore[attr-defined]
    Thaw.ensure_supervisor = lambda self: None  # type: ignore[method-assign, assignment]
    thaw = Thaw(Settings(home=home, hub=False))
    every = thaw.runs.all(WORKSPACE)
    asked = next(e.id for e in thaw.experiments.all(WORKSPACE) if e.asked is not None)
    first = next(e.id for e in thaw.experiments.all(WORKSPACE) if e.name == "Experiment 1")
    params = {"all": {"runs": ",".join(run.id for run in every)}, "experiment": {"experiment": asked}}.get(page, {})
    del every
    at = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=300)
    at.query_params["ws"] = WORKSPACE
    at.run()  # the server's own start, and the home page
    at.switch_page("pages/experiment.py")  # what a server imports at its first page of results, once
    for name, value in {"ws": WORKSPACE, "experiment": first}.items():
        at.query_params[name] = value
    at.run()
    at.switch_page(f"pages/{'compare' if page == 'all' else page}.py")
    for name, value in {"ws": WORKSPACE, **params}.items():
        at.query_params[name] = value
    took, cpu = _timed(at, profile)
    if at.exception:
        raise SystemExit(str(at.exception))
    return {"first_s": took, "first_cpu_s": cpu, "again_s": _timed(at, False)[0]}


def _timed(at: Any, profile: bool) -> tuple[float, float]:
    """Wall and processor seconds of one drawing."""
    import cProfile
    import pstats
    import threading

    profiler = cProfile.Profile()
    if profile:  # the script runs in a thread of its own
        threading.setprofile(lambda *_: profiler.enable())
    start, cpu = time.perf_counter(), time.process_time()
    at.run()
    took = time.perf_counter() - start, time.process_time() - cpu
    if profile:
        threading.setprofile(None)
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("cumulative").print_stats(110)
    return took


def write(home: Path, *, runs: int, rows: int) -> None:
    """A tenth of the runs in an experiment that asks which method, the others ten to an experiment."""
    from core.domain.dataset import Dataset, Task
    from core.domain.experiment import Arm, Experiment
    from core.domain.recipe import Recipe
    from core.settings import Settings
    from core.store import Store

    settings = Settings(home=home, hub=False)
    store = Store(settings)
    dataset = Dataset(id="made", name="made", task=Task.TEXT_CLASSIFICATION, content_hash="made",
                      classes=tuple(f"class {i}" for i in range(CLASSES)), source="made for this benchmark",
                      rows_read=2 * rows, rows_kept=2 * rows, mean_length=40.0,
                      counts={split: {f"class {i}": rows // (2 * CLASSES) for i in range(CLASSES)}
                              for split in ("train", "validation", "test")})
    _dataset(settings.workspace(WORKSPACE) / "datasets" / dataset.id, dataset, rows)
    recipes = [Recipe(dataset=dataset.id, base_model="minilm", method=method, learning_rate=10**-power)
               for power in (4, 5) for method in METHODS[:2]]
    arms = tuple(Arm(name=f"arm-{i}", label=f"Arm {i}", recipe=recipe) for i, recipe in enumerate(recipes))
    asked = Experiment(design="methods", dataset=dataset.id, arms=arms, seeds=tuple(range(max(1, runs // 40))))
    planned = [arm.recipe.replace(seed=seed) for arm in arms for seed in asked.seeds]
    _experiment(store, settings, "Which method?", planned, dataset, rows, asked)
    number = 0
    while len(planned) < runs:
        own = [Recipe(dataset=dataset.id, base_model="minilm", method=METHODS[i % len(METHODS)], seed=i // len(METHODS),
                      learning_rate=1e-4 * (1 + number)) for i in range(min(10, runs - len(planned)))]
        planned += own
        number += 1
        _experiment(store, settings, f"Experiment {number}", own, dataset, rows, None)


def _dataset(folder: Path, dataset: Any, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from core import files
    from core.domain import codec

    folder.mkdir(parents=True)
    splits = ["train", "validation", "test"] * (rows // 2)
    pq.write_table(pa.table({"row_id": pa.array(range(len(splits)), pa.int64()), "split": splits,
                             "text": [f"row {i}" for i in range(len(splits))],
                             "label": pa.array([i % CLASSES for i in range(len(splits))], pa.int32())}),
                   folder / "rows.parquet")
    files.write_json(folder / "dataset.json", codec.to_json(dataset))


def _experiment(store: Any, settings: Any, name: str, recipes: list[Any], dataset: Any, rows: int, asked: Any) -> None:
    from core.domain.run import JobKind, Status
    from core.store.jobs import NewJob

    experiment = store.experiments.create(WORKSPACE, name, asked=asked)
    store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name=f"{recipe.method} {recipe.seed}",
                              recipe=recipe, experiment=experiment,
                              runs_folder=settings.workspace(WORKSPACE) / "runs") for recipe in recipes])
    for _ in recipes:
        claim = store.queue.claim(supervisor="bench", host="bench", slots=1)
        store.queue.begin(claim.run.id, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
        steps = [(2.0 + s, "step", {"step": s, "total_steps": STEPS, "loss": 1.0 / s, "samples": 16 * s,
                                    "seconds": float(s), "memory_bytes": 10**8}) for s in range(1, STEPS + 1)]
        evals = [(7.0, "eval", {"step": STEPS, "loss": 0.4, "accuracy": 0.9, "macro_f1": 0.9, "samples": 64,
                                "seconds": 4.0})]
        store.events.append(claim.run.id, [(2.0, "phase", {"phase": "training"}), *steps, *evals])
        _results(Path(claim.run.folder), dataset, claim.run.recipe, rows)
        store.queue.finish(claim.run.id, fence=claim.fence, status=Status.DONE)


def _results(folder: Path, dataset: Any, recipe: Any, rows: int) -> None:
    """What a worker leaves: result, recipe, labels, predictions of test and validation rows."""
    import zlib

    import pyarrow as pa
    import pyarrow.parquet as pq

    from core import files, metrics
    from core.domain import codec
    from core.domain.run import Result

    rng = np.random.default_rng(zlib.crc32(repr(recipe).encode()))
    labels, measured = np.arange(rows) % CLASSES, {}
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("test", "validation"):
        logits = rng.normal(size=(rows, CLASSES)) + 3.0 * np.eye(CLASSES)[labels]
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        judged = metrics.Judged(labels=labels, predictions=chances.argmax(axis=1), probabilities=chances)
        measured[split] = metrics.measure(judged, samples=50)
        pq.write_table(pa.table({"row_id": pa.array(range(rows), pa.int64()), "label": pa.array(labels, pa.int32()),
                                 "prediction": pa.array(chances.argmax(axis=1), pa.int32()),
                                 "probabilities": list(chances.astype(np.float32))}),
                       folder / f"predictions-{split}.parquet")
    result = Result(metrics=measured, trainable_params=300_000, total_params=22_566_000, seconds=12.5 + rng.random(),
                    marginal_seconds=8.0, phase_seconds={"training": 10.0}, peak_memory_bytes=4 * 10**8,
                    estimated_memory_bytes=5 * 10**8, artifact_bytes=10**6, steps=STEPS, samples=64, precision="fp32",
                    device="cpu", dataset_hash=dataset.content_hash, complete=True)
    files.write_json(folder / "result.json", codec.to_json(result))
    files.write_json(folder / "recipe.json", recipe.to_json())
    files.write_json(folder / "artifact" / "labels.json", {"classes": list(dataset.classes)})


if __name__ == "__main__":
    raise SystemExit(main())
