"""Language models: Thaw against trl's `SFTTrainer` with peft, on the same rows, steps, length, batch, rank and
precision.

    python benchmarks/language.py                                     SmolLM2 on the tales, four methods, 30 steps
    python benchmarks/language.py --methods lora,qlora --steps 60 --repeats 3
    python benchmarks/language.py --model made/llama-1b --length 2048 --methods qlora --sides documented,thaw
    python benchmarks/language.py --steps-only --steps 12             speed alone: each side ends after its last step

The peers (`benchmarks/plain_sft.py`; left out where trl is not installed: `pip install trl`): *documented*, trl's
defaults with gradient checkpointing on, and *tuned*, without it and with rows grouped by length. All sides run as whole
processes, in turn. Speed is that of training steps alone (tokens of a step ÷ its seconds, without evaluations, samples
and what stands before the first step; the first two steps are left out on every side); memory is the peak resident size
of the whole process, on a GPU the peak that torch allocated.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))

import run as harness  # noqa: E402

from core import settings as settings_module  # noqa: E402
from core.cli import sources  # noqa: E402
from core.domain.dataset import Dataset, Split, Task  # noqa: E402
from core.domain.freeze import FreezePlan  # noqa: E402
from core.domain.model import ModelFacts  # noqa: E402
from core.domain.recipe import Recipe  # noqa: E402
from core.domain.run import Phase  # noqa: E402
from core.models.facts import folder  # noqa: E402
from core.planning import effort  # noqa: E402
from core.settings import Settings  # noqa: E402
from core.training import device as device_module  # noqa: E402

WARM_UP = 2
"""Steps left out: allocators and caches fill."""


def main() -> int:
    """Run every side of every method, print a Markdown table, write language.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="tales")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--methods", default="lora,qlora,partial,full")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--precision", default="auto", help="of all sides: auto (measured), fp32 or bf16")
    parser.add_argument("--sides", default="documented,tuned,thaw")
    parser.add_argument("--steps-only", action="store_true",
                        help="nothing is evaluated before, during or after the steps; no losses in the table")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(Path(args.child), steps_only=args.steps_only)
    if importlib.util.find_spec("trl") is None:
        print("trl is not installed (`pip install trl`): Thaw is measured alone.", file=sys.stderr)
        args.sides = ",".join(side for side in args.sides.split(",") if side == "thaw")
    settings = settings_module.load()
    dataset = sources.dataset(args.data, shift=None, settings=settings,
                              workspace=harness.WORKSPACE)
    facts = sources.model(args.model, settings=settings, workspace=harness.WORKSPACE)
    precision = device_module.read(settings).precision if args.precision == "auto" else args.precision
    records = []
    for number in range(args.repeats):
        for method in args.methods.split(","):
            recipe = recipe_for(dataset, facts, method, args, seed=number).replace(precision=precision)
            for side in args.sides.split(","):
                print(f"{method}, {side} ({number + 1}/{args.repeats}) ...", file=sys.stderr, flush=True)
                found = (thaw(recipe, settings, steps_only=args.steps_only) if side == "thaw"
                         else peer(recipe, dataset, facts, settings, steps=args.steps, tuned=side == "tuned",
                                   steps_only=args.steps_only))
                records.append({"method": method, "side": side, "seed": number, **found})
                print(json.dumps({k: v for k, v in records[-1].items() if k != "step_seconds"}), file=sys.stderr)
    report = {"machine": harness.machine(), "data": dataset.name, "model": facts.id, "precision": precision,
              "steps": args.steps, "batch": args.batch, "length": args.length, "records": records}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "language.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(markdown(report))
    return 0


def recipe_for(dataset: Dataset, facts: ModelFacts, method: str, args: argparse.Namespace, *, seed: int) -> Recipe:
    """Thaw's default recipe with the steps, batch and length that were asked for; `partial` with the lower half
    frozen."""
    found = effort.defaults(dataset=dataset.id, task=Task.LANGUAGE_MODELLING, base_model=facts.id, method=method,
                            effort="quick", seed=seed, train_rows=dataset.rows(Split.TRAIN),
                            mean_length=dataset.mean_length, facts=facts)
    blocks = [block.name for block in facts.blocks]
    plan = FreezePlan(frozen=tuple(blocks[:1 + (len(blocks) - 1) // 2])) if method == "partial" else found.freeze
    return found.replace(track_features=0, batch_size=args.batch, max_length=args.length, freeze=plan,
                         gradient_accumulation=1, gradient_checkpointing="off", evaluations_per_epoch=1,
                         epochs=args.steps * args.batch / dataset.rows(Split.TRAIN))


def peer(recipe: Recipe, dataset: Dataset, facts: ModelFacts, settings: Settings, *, steps: int,
         tuned: bool, steps_only: bool) -> dict[str, Any]:
    """One run of the trl script."""
    rows = settings.workspace(harness.WORKSPACE) / "datasets" / dataset.id / "rows.parquet"
    values = {"steps": steps, "batch_size": recipe.batch_size, "max_length": recipe.max_length, "seed": recipe.seed,
              "rank": recipe.lora.rank, "alpha": recipe.lora.alpha, "rate": recipe.learning_rate}
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary, "result.json")
        command = [sys.executable, str(ROOT / "benchmarks" / "plain_sft.py"), "--rows", str(rows), "--model",
                   str(folder(facts.id, settings)), "--method", recipe.method, "--settings", json.dumps(values),
                   "--out", str(out), *(["--tuned"] if tuned else []),
                   *(["--bf16"] if recipe.precision == "bf16" else []), *(["--steps-only"] if steps_only else [])]
        own = {"HF_HOME": temporary, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": temporary}
        used = harness.watch(lambda: harness.execute(command, {**harness.untouched(), **own}))
        return finished({**used, **json.loads(out.read_text(encoding="utf-8"))}, recipe)


def thaw(recipe: Recipe, settings: Settings, *, steps_only: bool) -> dict[str, Any]:
    """One run of Thaw's engine in a process of its own, with the caches as they are but for frozen prefixes."""
    with tempfile.TemporaryDirectory() as temporary:
        run_dir = Path(temporary, "run")
        run_dir.mkdir()
        (run_dir / "recipe.json").write_text(json.dumps(recipe.to_json()), encoding="utf-8")
        command = [sys.executable, str(Path(__file__).resolve()), "--child", str(run_dir),
                   *(["--steps-only"] if steps_only else [])]
        used = harness.watch(lambda: harness.execute(command, {**os.environ, "THAW_HOME": str(settings.home)}))
        return finished({**used, **json.loads((run_dir / "bench.json").read_text(encoding="utf-8"))}, recipe)


def child(run_dir: Path, *, steps_only: bool) -> int:
    """Thaw's side, in its own process: the engine as a worker calls it, with a clock that leaves evaluations out."""
    from core.training import execute as engine

    settings = settings_module.load()
    recipe = Recipe.from_json(json.loads((run_dir / "recipe.json").read_text(encoding="utf-8")))
    clock = Clock(ends_with_the_steps=steps_only)
    before = time.perf_counter()
    found: dict[str, Any] = {"device_bytes": 0}
    try:
        result = engine.execute(recipe, settings=settings, workspace=harness.WORKSPACE, run_dir=run_dir, observer=clock)
        found = {"train_seconds": result.phase_seconds.get("training", 0.0), "phase_seconds": result.phase_seconds,
                 "test_loss": result.metrics["test"]["loss"].value, "trainable_params": result.trainable_params,
                 "estimated_bytes": result.estimated_memory_bytes, "own_bytes": result.peak_memory_bytes,
                 "device_bytes": result.peak_memory_bytes if device_module.read(settings).kind == "cuda" else 0}
    except Enough:
        import torch

        found["device_bytes"] = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    (run_dir / "bench.json").write_text(json.dumps({
        "step_seconds": clock.steps, "run_seconds": time.perf_counter() - before, "tokens_a_row": taught_a_row(run_dir),
        **found}), encoding="utf-8")
    return 0


def taught_a_row(run_dir: Path) -> float:
    """Mean tokens of a row, as the run's own record of what it taught says."""
    totals = json.loads((run_dir / "teaching.json").read_text(encoding="utf-8"))["totals"]
    return float(totals["taught"] + totals["context"]) / float(totals["rows"])


class Enough(Exception):
    """The last step is over, and nothing else was asked for."""


class Clock:
    """An Observer that keeps the seconds of every step between which nothing was evaluated."""

    def __init__(self, *, ends_with_the_steps: bool) -> None:
        self.steps: list[float] = []
        self.ends_with_the_steps = ends_with_the_steps
        self._last: float | None = None

    def phase(self, phase: Phase) -> None:
        """Steps of another phase do not count."""
        self._last = time.perf_counter() if phase == Phase.TRAINING else None

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        """The end of a step, where the unit is steps."""
        if unit != "steps":
            return
        now = self._settled()
        if self._last is not None:
            self.steps.append(now - self._last)
        self._last = now
        if self.ends_with_the_steps and total and done >= total:
            raise Enough

    @staticmethod
    def _settled() -> float:
        """The time, when a GPU has done all that it was told."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    def step(self, **data: object) -> None:
        """Counted by `progress`."""

    def evaluation(self, **data: object) -> None:
        """The step that follows began before this and is left out."""
        self._last = None

    def note(self, text: str) -> None:
        """Not needed here."""

    def should_stop(self) -> bool:
        return False


def finished(record: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """With tokens a second of its steps."""
    steps = record["step_seconds"][WARM_UP:] or record["step_seconds"]
    return {**record, "tokens_a_second": record["tokens_a_row"] * recipe.batch_size / statistics.mean(steps)}


def markdown(report: dict[str, Any]) -> str:
    """A line a method: tokens a second and memory of every side, Thaw's as a ratio of the peers'."""
    lines = ["| method | documented script | tuned script | Thaw | Thaw ÷ documented, ÷ tuned | peak memory, "
             "documented / tuned / Thaw | test loss, documented / tuned / Thaw |", "|---|---|---|---|---|---|---|"]
    for method in dict.fromkeys(record["method"] for record in report["records"]):
        sides = [_median(report["records"], method, side) for side in ("documented", "tuned", "thaw")]
        speeds = [side.get("tokens_a_second") for side in sides]
        ratios = [f"{speeds[2] / peer:.2f}" for peer in speeds[:2] if peer and speeds[2]]
        lines.append(f"| `{method}` | " + " | ".join(f"{speed:.0f} tokens/s" if speed else "" for speed in speeds)
                     + f" | {', '.join(ratios)} | "
                     + " / ".join(f"{(s['device_bytes'] or s['peak_bytes']) / 1e9:.2f}" for s in sides if s) + " GB | "
                     + " / ".join(f"{side['test_loss']:.3f}" for side in sides if side.get("test_loss")) + " |")
    machine = ", ".join(str(value) for value in report["machine"].values())
    return "\n".join([*lines, "", f"{report['data']}, {report['model']}, {report['precision']}, "
                                  f"{report['steps']} steps of {report['batch']} × {report['length']} tokens at most. "
                                  f"{machine}."])


def _median(records: Sequence[dict[str, Any]], method: str, side: str) -> dict[str, float]:
    mine = [record for record in records if (record["method"], record["side"]) == (method, side)]
    keys = ("tokens_a_second", "peak_bytes", "device_bytes", "test_loss")
    return {key: statistics.median(record[key] for record in mine) for key in keys if mine and key in mine[0]}


if __name__ == "__main__":
    sys.exit(main())
