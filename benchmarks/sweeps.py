"""Experiments against the sum of their runs alone: what runs that share tokens, features and frozen prefixes save.

    python benchmarks/sweeps.py                            (seven depths of MiniLM on BBC News, all labels, one seed)
    python benchmarks/sweeps.py methods --seeds 3          (three seeds of the design's arms)
    python benchmarks/sweeps.py depth --budget 400         (fewer labels: minutes instead of an hour)

Both sides are whole processes on one data folder, which holds base model and dataset before the clock starts: first the
experiment on an empty cache, then each of its recipes by itself, each on an empty cache.
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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
WANTED = {"depth": 0.5, "methods": 0.8}
"""Largest share of the sum that was asked for."""


def main() -> int:
    """Run both sides, print the ratio, write sweeps_DESIGN.json."""
    from core import settings as settings_module

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
    found: dict[str, Any] = {"design": args.design, "arguments": asked, "seeds": args.seeds, "together_s": together,
                             "alone_s": alone, "ratio": together / sum(alone.values()),
                             "wanted": WANTED.get(args.design)}
    (args.out / f"sweeps_{args.design}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    wanted = f" (wanted {found['wanted']})" if found["wanted"] else ""
    print(f"{args.design}, {len(alone)} runs: together {together:.0f} s, alone {sum(alone.values()):.0f} s in all: "
          f"{found['ratio']:.2f}{wanted}")
    return 0


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
