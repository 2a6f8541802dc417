"""Thaw against two `transformers.Trainer` scripts: the same rows, epochs, length, batch size, LoRA settings, machine,
session.

    make bench                                  all four methods on BBC News with MiniLM, quick effort
    make bench ARGS="--methods lora,full --effort normal --repeats 3 --out bench"
    python benchmarks/reuters.py r8.csv --rows 1100
    python benchmarks/run.py --data r8.csv --effort normal --epochs 2 --precisions bf16,fp32 --sides plain,tuned,alone

The two peers (`benchmarks/plain_trainer.py`): *plain*, as tutorials do it (fp32, fixed padding), and *tuned*, grouped
by length, padded to the longest row of a batch, and in the precision that Thaw computes in. `--precisions fp32,bf16`
sets it for both (default: what was measured to be faster here).

All run as whole processes, in turn, and are measured from outside: wall and processor seconds from start to exit, peak
resident memory of the process and its children, sampled (on a GPU, the peak that torch allocated on it). Thaw runs
twice: *alone*, with empty caches, so that nothing
an earlier run computed helps it; and
*after a probe*, as in a comparison, with the tokenised rows and the base model's features that a probe leaves (no
frozen prefixes). What is shown is the median over repeats.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core import settings as settings_module  # noqa: E402
from core.cli import follow, sources  # noqa: E402
from core.domain.dataset import Dataset, Split  # noqa: E402
from core.domain.freeze import EMBEDDINGS  # noqa: E402
from core.domain.model import ModelFacts  # noqa: E402
from core.domain.recipe import Recipe  # noqa: E402
from core.domain.targets import lora_targets  # noqa: E402
from core.models import methods  # noqa: E402
from core.planning import budget, effort  # noqa: E402
from core.settings import Settings  # noqa: E402
from core.training import device as device_module  # noqa: E402

WORKSPACE = "bench"
PLAIN_RATES = {"probe": 1e-3, "lora": 5e-4, "qlora": 5e-4, "full": 5e-5, "partial": 5e-5}
"""Learning rates of the plain script: what the methods' own papers and tutorials use."""
SAMPLE_S = 0.05


def main() -> int:
    """Run both sides of every method, print a Markdown table, write bench.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="bbc-news")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--methods", default="probe,lora,qlora,full")
    parser.add_argument("--effort", default="quick", choices=effort.EFFORTS)
    parser.add_argument("--epochs", type=float, help="instead of the effort's")
    parser.add_argument("--precisions", default="auto", help="of Thaw and the tuned peer, e.g. fp32,bf16")
    parser.add_argument("--sides", default="plain,tuned,alone,after",
                        help="which to run, of plain, tuned, alone, after")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    settings = settings_module.load()
    dataset = sources.dataset(args.data, shift=None, settings=settings, workspace=WORKSPACE)
    facts = sources.model(args.model, settings=settings, workspace=WORKSPACE)
    measured = device_module.read(settings).precision
    precisions = [measured if asked == "auto" else asked for asked in args.precisions.split(",")]
    records: list[dict[str, Any]] = []
    for number in range(args.repeats):
        for method in args.methods.split(","):
            for precision in precisions:
                recipe = recipe_for(dataset, facts, method, args.effort, seed=number,
                                    epochs=args.epochs).replace(precision=precision)
                for side in args.sides.split(","):
                    if side == "after" and methods.card_of(method).solved:
                        continue
                    if side == "plain" and precision != precisions[0]:
                        continue
                    print(f"{method}, {side}, {precision} ({number + 1}/{args.repeats}) ...", file=sys.stderr,
                          flush=True)
                    records.append({"method": method, "side": side,
                                    "precision": "fp32" if side == "plain" else precision, "seed": number}
                                   | SIDES[side](recipe, dataset, facts, settings))
                    print(json.dumps(records[-1]), file=sys.stderr, flush=True)
    report = {"machine": machine(), "data": dataset.name, "rows": {s: dataset.rows(s) for s in dataset.counts},
              "model": facts.id, "effort": args.effort, "records": records,
              "recipe": recipe_for(dataset, facts, "lora", args.effort, seed=0, epochs=args.epochs).to_json()}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "bench.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    text = markdown(report)
    (args.out / "bench.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def recipe_for(dataset: Dataset, facts: ModelFacts, method: str, level: str, *, seed: int,
               epochs: float | None = None) -> Recipe:
    """Thaw's own default recipe; the plain side takes epochs, batch, length and LoRA settings from it. No features are
    recorded while training: the plain side has no such thing."""
    found = effort.defaults(dataset=dataset.id, task=dataset.task, base_model=facts.id, method=method, effort=level,
                            seed=seed, train_rows=dataset.rows(Split.TRAIN), mean_length=dataset.mean_length,
                            facts=facts)
    return found.replace(track_features=0, epochs=epochs or found.epochs)


def tuned(recipe: Recipe, dataset: Dataset, facts: ModelFacts, settings: Settings,
          rows: Path | None = None) -> dict[str, Any]:
    """One run of the script with the Trainer's own options for speed."""
    return plain(recipe, dataset, facts, settings, rows,
                 options=["--tuned", *(["--bf16"] if recipe.precision == "bf16" else [])])


def plain(recipe: Recipe, dataset: Dataset, facts: ModelFacts, settings: Settings, rows: Path | None = None,
          options: Sequence[str] = ()) -> dict[str, Any]:
    """One run of the plain script, on a file of rows or on all that the dataset has."""
    from core.models.facts import folder

    rows = rows or settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet"
    targets = sorted({layer.name for layer in lora_targets(facts.blocks, spec=recipe.lora.targets)})
    train_rows, _ = budget.of_dataset(recipe, dataset)
    steps = -(-train_rows // recipe.batch_size) * recipe.epochs
    # The stock model registers the same layers one level deeper, so the targets are given by their endings.
    values = {"epochs": recipe.epochs, "batch_size": recipe.batch_size, "max_length": recipe.max_length,
              "seed": recipe.seed, "rank": recipe.lora.rank, "alpha": recipe.lora.alpha, "targets": targets,
              "rates": PLAIN_RATES, "warmup_steps": int(recipe.warmup_ratio * steps), "frozen": frozen(recipe, facts)}
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary, "result.json")
        command = [sys.executable, str(ROOT / "benchmarks" / "plain_trainer.py"), "--rows", str(rows), "--model",
                   str(folder(facts.id, settings)), "--method", recipe.method, "--settings", json.dumps(values),
                   "--out", str(out), *options]
        own = {"HF_HOME": temporary, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": temporary}
        used = watch(lambda: execute(command, {**untouched(), **own}))
        return {**used, **json.loads(out.read_text(encoding="utf-8"))}


def frozen(recipe: Recipe, facts: ModelFacts) -> list[str]:
    """How the modules of the frozen blocks of a transformer begin."""
    blocks = [block for block in facts.blocks if recipe.freeze.is_frozen(block.name)]
    layers = [os.path.commonpath([layer.name.replace(".", "/") for layer in block.linear_layers]) for block in blocks
              if block.linear_layers]
    return [f"{name.replace('/', '.')}." for name in layers] + [
        f"{block.name}." for block in blocks if block.name == EMBEDDINGS]


def alone(recipe: Recipe, dataset: Dataset, facts: ModelFacts, settings: Settings) -> dict[str, Any]:
    """One run of Thaw's engine with empty caches."""
    shutil.rmtree(settings.cache, ignore_errors=True)
    return thaw(recipe, settings)


def after_probe(recipe: Recipe, dataset: Dataset, facts: ModelFacts, settings: Settings) -> dict[str, Any]:
    """The same with what a probe leaves in the caches; run right after `alone`, whose prefixes are taken away."""
    shutil.rmtree(settings.cache / "prefix", ignore_errors=True)
    return thaw(recipe, settings)


def thaw(recipe: Recipe, settings: Settings) -> dict[str, Any]:
    """One run of Thaw's engine with the caches as they are."""
    with tempfile.TemporaryDirectory() as temporary:
        run_dir = Path(temporary, "run")
        run_dir.mkdir()
        (run_dir / "recipe.json").write_text(json.dumps(recipe.to_json()), encoding="utf-8")
        used = watch(lambda: follow.folder(run_dir, settings=settings, workspace=WORKSPACE, resume=False))
        result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    training = sum(seconds for phase, seconds in result["phase_seconds"].items()
                   if phase in ("training", "caching features"))
    return {**used, "accuracy": result["metrics"]["test"]["accuracy"]["value"], "train_seconds": training,
            "trainable_params": result["trainable_params"], "precision": result["precision"],
            "device_bytes": result["peak_memory_bytes"] if device_module.read(settings).kind == "cuda" else 0,
            "estimated_bytes": result["estimated_memory_bytes"], "measured_bytes": result["peak_memory_bytes"],
            "phase_seconds": result["phase_seconds"]}


SIDES: dict[str, Any] = {"plain": plain, "tuned": tuned, "alone": alone, "after": after_probe}


def watch(work: Callable[[], object]) -> dict[str, float]:
    """Of the processes that this one starts for some work: wall `seconds`, `cpu_seconds` (user + system), `peak_bytes`
    resident."""
    before, peak, over = resource.getrusage(resource.RUSAGE_CHILDREN), 0, threading.Event()

    def sample() -> None:
        nonlocal peak
        while not over.wait(SAMPLE_S):
            with contextlib.suppress(psutil.NoSuchProcess):
                peak = max(peak, sum(p.memory_info().rss for p in psutil.Process().children(recursive=True)))

    sampler = threading.Thread(target=sample)
    sampler.start()
    start = time.perf_counter()
    try:
        work()
    finally:
        seconds = time.perf_counter() - start
        over.set()
        sampler.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak}


def untouched() -> dict[str, str]:
    """The environment without what importing Thaw sets: a peer knows nothing of it."""
    return {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}


def execute(command: list[str], environment: dict[str, str]) -> None:
    """Run a command; RuntimeError with the end of what it said when it fails."""
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} ended with status {done.returncode}:\n{done.stdout[-3000:]}")


def markdown(report: dict[str, Any]) -> str:
    """The table for the README: a line a method and precision; each peer's time and memory with Thaw's share of it."""
    head = ["method", "precision", "plain (fp32)", "tuned peer", "Thaw alone", "Thaw after a probe",
            "plain / tuned / Thaw memory", "plain / tuned / Thaw accuracy"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    records = report["records"]
    for method, precision in dict.fromkeys((r["method"], r["precision"]) for r in records if r["side"] != "plain"):
        p, (t, one, after) = _median(records, method, "plain", "fp32"), (
            _median(records, method, side, precision) for side in ("tuned", "alone", "after"))
        there = [found for found in (p, t, one) if found]
        lines.append("| " + " | ".join([
            f"`{method}`", precision, *(f"{found['seconds']:.0f} s" if found else "" for found in (p, t)),
            _against(one, p, t), _against(after, p, t),
            " / ".join(f"{(found['device_bytes'] or found['peak_bytes']) / 1e9:.2f}" for found in there) + " GB",
            " / ".join(f"{found['accuracy']:.3f}" for found in there)]) + " |")
    machine_text = ", ".join(f"{value}" for value in report["machine"].values())
    rows = ", ".join(f"{count:,} {split}" for split, count in report["rows"].items())
    recipe = report["recipe"]
    return "\n".join([*lines, "", f"{report['data']} ({rows}), {report['model']}, {report['effort']} effort: "
                                  f"{recipe['epochs']:g} epochs, {recipe['max_length']} tokens, batch "
                                  f"{recipe['batch_size']}. Whole processes, start-up included; in brackets the share "
                                  "of the plain and of the tuned peer's time; memory is the peak resident size. "
                                  f"{machine_text}."])


def _against(side: dict[str, float], *peers: dict[str, float]) -> str:
    """`40 s (0.50, 0.75)`: seconds, and as a share of each peer's."""
    if not side:
        return ""
    shares = ", ".join(f"{side['seconds'] / peer['seconds']:.2f}" for peer in peers if peer)
    return f"{side['seconds']:.0f} s" + (f" ({shares})" if shares else "")


def _median(records: list[dict[str, Any]], method: str, side: str, precision: str) -> dict[str, float]:
    mine = [r for r in records if (r["method"], r["side"], r["precision"]) == (method, side, precision)]
    keys = ("seconds", "cpu_seconds", "train_seconds", "peak_bytes", "device_bytes", "accuracy")
    return {key: statistics.median(r[key] for r in mine) for key in keys} if mine else {}


def machine() -> dict[str, str]:
    """The machine in words."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return {"processor": _processor(), "cores": f"{len(psutil.Process().cpu_affinity())} cores",
            "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB", "gpu": gpu,
            "versions": f"Python {platform.python_version()}, torch {torch.__version__}"}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main())
