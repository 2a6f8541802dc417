"""A probe against its own floor: one bare forward pass over the same rows, and one scikit-learn fit on what comes out.

    make bench                                (after the training runs)
    python benchmarks/probe_time.py --effort normal
    python benchmarks/probe_time.py --strengths           (a probe tries seven strengths of regularisation: against one)

Both sides are whole processes, in turn. What is compared is the run's own total (reading rows, tokenising, loading the
model, features, fit, evaluation, saving) with nothing but the forward pass and the fit of the bare script; its start-up
and tokenising are not counted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core.domain.recipe import Recipe  # noqa: E402
from core.settings import Settings  # noqa: E402


def main() -> int:
    """Run both sides, print the ratio, write probe_time.json."""
    from benchmarks.run import WORKSPACE, recipe_for
    from core import settings as settings_module
    from core.cli import sources

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--effort", default="normal")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--strengths", action="store_true", help="a run that tries all strengths against one that "
                                                                 "knows its own")
    parser.add_argument("--one", nargs=2, metavar=("RECIPE", "HOW_MANY"), help=argparse.SUPPRESS)
    parser.add_argument("--bare", nargs=3, metavar=("ROWS", "MODEL", "LENGTH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare:
        print(json.dumps(bare(*args.bare)))
        return 0
    if args.one:
        print(json.dumps(one(Path(args.one[0]), int(args.one[1]))))
        return 0
    settings = settings_module.load()
    dataset = sources.dataset("bbc-news", shift=None, settings=settings, workspace=WORKSPACE)
    facts = sources.model("minilm", settings=settings, workspace=WORKSPACE)
    recipe = recipe_for(dataset, facts, "probe", args.effort, seed=0)
    if args.strengths:
        return strengths(recipe, settings, repeats=args.repeats, out=args.out)
    rows = settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet"
    lines: list[dict[str, Any]] = []
    for _ in range(args.repeats):
        found = subprocess.run([sys.executable, __file__, "--bare", str(rows),
                                str(settings.assets / "models" / "minilm"),
                                str(recipe.max_length)], check=True, capture_output=True, text=True)
        shutil.rmtree(settings.cache, ignore_errors=True)
        lines.append(json.loads(found.stdout.splitlines()[-1]) | thaw(recipe.to_json(), settings))
    middle = {key: statistics.median(line[key] for line in lines) for key in lines[0]}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "probe_time.json").write_text(json.dumps({"effort": args.effort, "runs": lines}, indent=1),
                                              encoding="utf-8")
    floor = middle["forward_s"] + middle["fit_s"]
    print(f"Probe at {args.effort} effort: Thaw {middle['thaw_s']:.1f} s (test accuracy "
          f"{middle['thaw_accuracy']:.3f}); bare forward pass {middle['forward_s']:.1f} s and fit "
          f"{middle['fit_s']:.1f} s ({middle['bare_accuracy']:.3f}): {middle['thaw_s'] / floor:.2f}x (wanted 1.3x)")
    return 0


def strengths(recipe: Recipe, settings: Settings, *, repeats: int, out: Path) -> int:
    """Whole runs on an empty cache, in turn: with every strength of regularisation, and with one alone."""
    from core.tasks.probe_solver import STRENGTHS

    out.mkdir(parents=True, exist_ok=True)
    place = out / "probe_recipe.json"
    place.write_text(json.dumps(recipe.to_json()), encoding="utf-8")
    lines: dict[int, list[float]] = {1: [], len(STRENGTHS): []}
    for _ in range(repeats):
        for count, found in lines.items():
            shutil.rmtree(settings.cache, ignore_errors=True)
            said = subprocess.run([sys.executable, __file__, "--one", str(place), str(count)], check=True,
                                  capture_output=True, text=True)
            found.append(json.loads(said.stdout.splitlines()[-1])["seconds"])
    single, every = (statistics.median(found) for found in lines.values())
    (out / "probe_strengths.json").write_text(json.dumps({str(count): found for count, found in lines.items()}),
                                              encoding="utf-8")
    print(f"A probe that tries {len(STRENGTHS)} strengths of regularisation: {every:.1f} s, with one {single:.1f} s: "
          f"{every / single:.2f}x (wanted 1.2x of five)")
    return 0


def one(path: Path, count: int) -> dict[str, float]:
    """Seconds of the run of this recipe in this process, with so many strengths."""
    from benchmarks.run import WORKSPACE
    from core import settings as settings_module
    from core.tasks import probe_solver
    from core.training.execute import execute
    from tests.conftest import Notes

    probe_solver.STRENGTHS = probe_solver.STRENGTHS[-count:]
    recipe = Recipe.from_json(json.loads(path.read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        result = execute(recipe, settings=settings_module.load(), workspace=WORKSPACE, run_dir=Path(folder, "run"),
                         observer=Notes())
    return {"seconds": result.seconds}


def bare(rows: str, model: str, length: str) -> dict[str, float]:
    """Mean-pooled features of every row in batches of 32 of like length, then `LogisticRegression` on the standardised
    ones."""
    import numpy as np
    import pyarrow.parquet as pq
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from transformers import AutoModel, AutoTokenizer

    table = pq.read_table(rows, columns=["text", "label", "split"]).to_pandas()
    network = AutoModel.from_pretrained(model, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(model)(table["text"].tolist(), truncation=True,
                                               max_length=int(length))["input_ids"]
    order = np.argsort([-len(row) for row in ids], kind="stable")
    features = np.zeros((len(ids), network.config.hidden_size), np.float32)
    began = time.perf_counter()
    with torch.inference_mode():
        for start in range(0, len(order), 32):
            batch = order[start:start + 32]
            width = len(ids[batch[0]])
            tokens = torch.tensor([ids[i] + [0] * (width - len(ids[i])) for i in batch])
            mask = torch.tensor([[1] * len(ids[i]) + [0] * (width - len(ids[i])) for i in batch])
            hidden = network(input_ids=tokens, attention_mask=mask).last_hidden_state
            features[batch] = ((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).numpy()
    forward = time.perf_counter() - began
    train, test = (table["split"].to_numpy() == name for name in ("train", "test"))
    labels = table["label"].to_numpy()
    began = time.perf_counter()
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features[train], labels[train])
    return {"forward_s": forward, "fit_s": time.perf_counter() - began,
            "bare_accuracy": float(fitted.score(features[test], labels[test]))}


def thaw(recipe: dict[str, Any], settings: Settings) -> dict[str, float]:
    """A probe with empty caches, as a worker runs it."""
    from benchmarks.run import WORKSPACE
    from core.cli import follow

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "run")
        folder.mkdir()
        (folder / "recipe.json").write_text(json.dumps(recipe), encoding="utf-8")
        outcome = follow.folder(folder, settings=settings, workspace=WORKSPACE, resume=False)
    if outcome.result is None:
        raise RuntimeError(f"The probe failed: {outcome.failure}")
    return {"thaw_s": outcome.result.seconds, "thaw_accuracy": outcome.result.metrics["test"]["accuracy"].value}


if __name__ == "__main__":
    sys.exit(main())
