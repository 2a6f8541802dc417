"""A probe against its own floor: one bare forward pass over the same rows, and one scikit-learn fit on what comes out.

    make bench                                (after the training runs)
    python benchmarks/probe_time.py --effort normal

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
    parser.add_argument("--bare", nargs=3, metavar=("ROWS", "MODEL", "LENGTH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare:
        print(json.dumps(bare(*args.bare)))
        return 0
    settings = settings_module.load()
    dataset = sources.dataset("bbc-news", shift=None, settings=settings, workspace=WORKSPACE)
    facts = sources.model("minilm", settings=settings, workspace=WORKSPACE)
    recipe = recipe_for(dataset, facts, "probe", args.effort, seed=0)
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
