"""Experiments against the sum of their runs alone, and against a plain script for each of them: what runs that share
tokens, features and frozen prefixes save.

    python benchmarks/sweeps.py                            (seven depths of MiniLM on BBC News, all labels, one seed)
    python benchmarks/sweeps.py methods --seeds 3          (three seeds of the design's arms)
    python benchmarks/sweeps.py depth --budget 400         (fewer labels: minutes instead of an hour)

All sides are whole processes on one data folder, which holds base model and dataset before the clock starts: first the
experiment on an empty cache, then each of its recipes by itself, each on an empty cache, then for each
`plain_trainer.py` with the Trainer's own options for speed (`--tuned`) on the rows that the recipe uses. The script
compares no features.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import run  # noqa: E402
from core import settings as settings_module  # noqa: E402
from core.cli import sources  # noqa: E402
from core.cli.parser import WORKSPACE  # noqa: E402
from core.data import library  # noqa: E402
from core.data.splits import label_budget  # noqa: E402
from core.domain.dataset import Dataset, Split  # noqa: E402
from core.domain.recipe import Recipe  # noqa: E402
from core.planning import budget  # noqa: E402
from core.settings import Settings  # noqa: E402

WANTED = {"depth": 0.5, "methods": 0.8}
"""Largest share of the sum that was asked for."""


def main() -> int:
    """Run all sides, print the ratios, write sweeps_DESIGN.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("design", nargs="?", default="depth")
    parser.add_argument("--data", default="bbc-news")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--budget", default="all")
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    settings = settings_module.load()
    place = args.out.absolute() / "sweeps"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    asked = ["--data", args.data, "--model", args.model, "--budgets", args.budget, "--effort", args.effort]
    core("compare", *asked, "--methods", "probe", "--out", str(place / "fetched"))
    together = timed(settings.cache, "experiment", args.design, *asked, "--seeds", args.seeds, "--out",
                     str(place / "together"))
    alone = {}
    for recipe in sorted((place / "together").glob("*/recipe.json")):
        folder = place / "alone" / recipe.parent.name
        folder.mkdir(parents=True)
        for name in ("recipe.json", "origin.json"):
            if (recipe.parent / name).is_file():
                shutil.copy2(recipe.parent / name, folder / name)
        alone[folder.name] = timed(settings.cache, "resume", str(folder))
    plain = {folder.name: peer(folder, args, settings) for folder in sorted((place / "alone").iterdir())}
    found: dict[str, Any] = {"design": args.design, "arguments": asked, "seeds": args.seeds, "together_s": together,
                             "alone_s": alone, "plain_s": plain, "ratio": together / sum(alone.values()),
                             "against_plain": together / sum(plain.values()),
                             "wanted": WANTED.get(args.design)}
    (args.out / f"sweeps_{args.design}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    wanted = f" (wanted {found['wanted']})" if found["wanted"] else ""
    print(f"{args.design}, {len(alone)} runs: together {together:.0f} s, alone {sum(alone.values()):.0f} s in all: "
          f"{found['ratio']:.2f}{wanted}; plain scripts {sum(plain.values()):.0f} s in all: "
          f"{found['against_plain']:.2f}")
    return 0


def peer(folder: Path, args: argparse.Namespace, settings: Settings) -> float:
    """Seconds of the plain script for a recipe."""
    recipe = Recipe.from_json(json.loads((folder / "recipe.json").read_text(encoding="utf-8")))
    dataset = sources.dataset(args.data, shift=None, settings=settings, workspace=WORKSPACE)
    facts = sources.model(args.model, settings=settings, workspace=WORKSPACE)
    rows = folder / "rows.parquet"
    pq.write_table(chosen(recipe, dataset, settings), rows)
    if recipe.method == "partial" and not recipe.freeze.frozen:
        recipe = recipe.replace(method="full")
    return float(run.tuned(recipe, dataset, facts, settings, rows)["seconds"])


def chosen(recipe: Recipe, dataset: Dataset, settings: Settings) -> pa.Table:
    """The training and validation rows that a recipe uses, and all test rows."""
    table = library.read_rows(dataset, settings=settings, workspace=WORKSPACE)
    labels, splits = (table[name].to_numpy() for name in ("label", "split"))
    kept = [np.flatnonzero(splits == Split.TEST)]
    for split, size in zip((Split.TRAIN, Split.VALIDATION), budget.of_dataset(recipe, dataset), strict=True):
        there = np.flatnonzero(splits == split)
        # the Trainer wants rows to evaluate on, also where a budget leaves none for it
        kept.append(there[label_budget(labels[there], max(size, 1), seed=recipe.seed)])
    return table.take(np.concatenate(kept))


def timed(cache: Path, *command: str) -> float:
    """Seconds of one command on an empty cache."""
    shutil.rmtree(cache, ignore_errors=True)
    began = time.monotonic()
    core(*command)
    return time.monotonic() - began


def core(*command: str) -> None:
    """`python -m core …`; an error ends the benchmark with what it said."""
    subprocess.run([sys.executable, "-m", "core", *command], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
