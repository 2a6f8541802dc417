"""What Thaw itself costs around the training: lists of runs, polls of a run under way, bootstrap intervals, against the
plainest code.

    make bench
    python benchmarks/bookkeeping.py

Each pair is timed in turn, in one process; the median of the paired ratios counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RUNS, STEPS, ROWS, CLASSES, SAMPLES = 500, 10_000, 5_000, 77, 2_000


def main() -> int:
    """Time every pair, print the table, write bookkeeping.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        records = [_paired(name, plain, thaw, args.repeats) for name, plain, thaw in (*_store_pairs(Path(folder)),
                                                                                      _bootstrap_pair())]
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "bookkeeping.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    print("| what | plain | Thaw | ratio |\n|---|---|---|---|")
    for r in records:
        print(f"| {r['name']} | {1000 * r['plain_s']:.1f} ms | {1000 * r['thaw_s']:.1f} ms | {r['ratio']:.2f}x |")
    return 0


Pair = tuple[str, Callable[[], object], Callable[[], object]]


def _store_pairs(folder: Path) -> list[Pair]:
    """Runs as typed values in the order of a fair queue, against the bare rows with their JSON parsed."""
    from core.domain.recipe import Recipe
    from core.domain.run import JobKind
    from core.settings import Settings
    from core.store import Store
    from core.store.jobs import NewJob

    store = Store(Settings(home=folder / "home"))
    recipe = Recipe(dataset="d", base_model="m", method="lora")
    ids = store.jobs.submit([NewJob(workspace="ws", kind=JobKind.TRAIN, name=f"run {i}", runs_folder=folder,
                                    recipe=recipe.replace(seed=i))
                             for i in range(RUNS)])
    if store.queue.claim(supervisor="bench", host="here", slots=1) is None:
        raise RuntimeError("no run was claimed")
    store.events.append(ids[0], [(0.0, "step", {"step": i, "loss": 1.0 / (i + 1)}) for i in range(STEPS)])
    connection = store.database.connection()

    def rows() -> list[Any]:
        found = connection.execute("SELECT * FROM jobs WHERE workspace = 'ws' ORDER BY created "
                                   "DESC, ticket DESC").fetchall()
        return [(row, json.loads(row["recipe"])) for row in found]

    def poll() -> list[Any]:
        connection.execute("SELECT * FROM jobs WHERE id = ?", (ids[0],)).fetchone()
        found = connection.execute("SELECT * FROM events WHERE run = ? AND seq > ?", (ids[0], STEPS - 10)).fetchall()
        return [json.loads(row["data"]) for row in found]

    return [(f"list {RUNS} waiting runs", rows, lambda: store.jobs.list("ws")),
            (f"poll a run after {STEPS:,} steps, {RUNS - 1} runs waiting", poll,
             lambda: (store.jobs.get("ws", ids[0]), store.events.after(ids[0], STEPS - 10)))]


def _bootstrap_pair() -> Pair:
    """Intervals of accuracy and macro-F1, against a loop over scikit-learn's functions."""
    from sklearn.metrics import accuracy_score, f1_score

    from core.metrics import Judged, measure

    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, ROWS)
    predictions = np.where(rng.random(ROWS) < 0.1, rng.integers(0, CLASSES, ROWS), labels)

    def plain() -> list[Any]:
        draws = rng.integers(0, ROWS, (SAMPLES, ROWS))
        found = [(accuracy_score(labels[d], predictions[d]), f1_score(labels[d], predictions[d], average="macro"))
                 for d in draws]
        return np.percentile(found, [2.5, 97.5], axis=0).tolist()  # type: ignore[no-any-return]

    return (f"95 % intervals of {ROWS:,} predictions, {CLASSES} classes, {SAMPLES:,} resamples", plain,
            lambda: measure(Judged(labels=labels, predictions=predictions), samples=SAMPLES))


def _paired(name: str, plain: Callable[[], object], thaw: Callable[[], object], repeats: int) -> dict[str, Any]:
    plain(), thaw()  # imports and caches are not timed
    pairs = [(_seconds(plain), _seconds(thaw)) for _ in range(repeats)]
    return {"name": name, "plain_s": statistics.median(p for p, _ in pairs),
            "thaw_s": statistics.median(t for _, t in pairs), "ratio": statistics.median(t / p for p, t in pairs)}


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
