"""Thaw against a plain `transformers.Trainer` script: the same rows, epochs, length, batch size, LoRA settings, machine, session.

    make bench                                  all four methods on BBC News with MiniLM, quick effort
    make bench ARGS="--methods lora,full --effort normal --repeats 3 --out bench"

Both sides run as whole processes (`python benchmarks/plain_trainer.py …`, `python -m core.cli.child …`), in turn, and are measured
from outside: wall seconds from start to exit, peak resident memory of the process and its children, sampled. Thaw runs twice: *alone*,
with empty caches, so that nothing an earlier run computed helps it; and *after a probe*, as in a comparison, with the tokenised rows and
the base model's features that a probe leaves (no frozen prefixes). What is shown is the median over repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core import settings as settings_module  # noqa: E402
from core.cli import sources  # noqa: E402
from core.domain import effort  # noqa: E402
from core.domain.dataset import Dataset, Split  # noqa: E402
from core.domain.model import ModelFacts  # noqa: E402
from core.domain.recipe import Recipe  # noqa: E402
from core.domain.targets import lora_targets  # noqa: E402
from core.settings import Settings  # noqa: E402

WORKSPACE = "bench"
PLAIN_RATES = {"probe": 1e-3, "lora": 5e-4, "qlora": 5e-4, "full": 5e-5}
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
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    settings = settings_module.load()
    dataset = sources.dataset(args.data, shift=None, text=None, label=None, settings=settings, workspace=WORKSPACE)
    facts = sources.model(args.model, settings=settings, workspace=WORKSPACE)
    records = []
    for number in range(args.repeats):
        for method in args.methods.split(","):
            recipe = recipe_for(dataset, facts, method, args.effort, seed=number, epochs=args.epochs)
            for side, measure in SIDES.items():
                if side == "after" and method == "probe":
                    continue
                print(f"{method}, {side} ({number + 1}/{args.repeats}) ...", file=sys.stderr, flush=True)
                records.append({"method": method, "side": side, "seed": number} | measure(recipe, dataset, facts, settings))
                print(json.dumps(records[-1]), file=sys.stderr, flush=True)
    report = {"machine": machine(), "data": dataset.name, "rows": {s: dataset.rows(s) for s in dataset.counts}, "model": facts.id,
              "effort": args.effort, "records": records,
              "recipe": recipe_for(dataset, facts, "lora", args.effort, seed=0, epochs=args.epochs).to_json()}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "bench.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    text = markdown(report)
    (args.out / "bench.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def recipe_for(dataset: Dataset, facts: ModelFacts, method: str, level: str, *, seed: int, epochs: float | None = None) -> Recipe:
    """Thaw's own default recipe; the plain side takes epochs, batch, length and LoRA settings from it. No features are recorded while
    training: the plain side has no such thing."""
    found = effort.defaults(dataset=dataset.id, task=dataset.task, base_model=facts.id, method=method, effort=level, seed=seed,
                           train_rows=dataset.rows(Split.TRAIN), mean_length=dataset.mean_length, facts=facts)
    return found.replace(track_features=0, epochs=epochs or found.epochs)


def plain(recipe: Recipe, dataset: Dataset, facts: ModelFacts, settings: Settings) -> dict[str, Any]:
    """One run of the plain script."""
    from core.models.facts import folder

    rows = settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet"
    targets = sorted({layer.name for layer in lora_targets(facts.blocks, spec=recipe.lora.targets)})
    steps = -(-dataset.rows(Split.TRAIN) // recipe.batch_size) * recipe.epochs
    # The stock model registers the same layers one level deeper, so the targets are given by their endings.
    values = {"epochs": recipe.epochs, "batch_size": recipe.batch_size, "max_length": recipe.max_length, "seed": recipe.seed,
              "rank": recipe.lora.rank, "alpha": recipe.lora.alpha, "targets": targets, "rates": PLAIN_RATES,
              "warmup_steps": int(recipe.warmup_ratio * steps)}
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary, "result.json")
        command = [sys.executable, str(ROOT / "benchmarks" / "plain_trainer.py"), "--rows", str(rows), "--model",
                   str(folder(facts.id, settings)), "--method", recipe.method, "--settings", json.dumps(values), "--out", str(out)]
        wall, peak = watch(command, {**os.environ, "HF_HOME": temporary, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": temporary})
        return {"seconds": wall, "peak_bytes": peak, **json.loads(out.read_text(encoding="utf-8"))}


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
        wall, peak = watch([sys.executable, "-m", "core.cli.child", "--workspace", WORKSPACE, "--run-dir", str(run_dir)], dict(os.environ))
        result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    training = sum(seconds for phase, seconds in result["phase_seconds"].items() if phase in ("training", "caching features"))
    return {"seconds": wall, "peak_bytes": peak, "accuracy": result["metrics"]["test"]["accuracy"]["value"], "train_seconds": training,
            "trainable_params": result["trainable_params"], "precision": result["precision"],
            "estimated_bytes": result["estimated_memory_bytes"], "measured_bytes": result["peak_memory_bytes"],
            "phase_seconds": result["phase_seconds"]}


SIDES = {"plain": plain, "alone": alone, "after": after_probe}


def watch(command: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """(wall seconds, peak resident bytes of the process and its children) of a command; RuntimeError when it fails."""
    with tempfile.TemporaryFile(mode="w+") as log:
        start = time.perf_counter()
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        process, peak = psutil.Process(child.pid), 0
        while child.poll() is None:
            try:
                peak = max(peak, sum(p.memory_info().rss for p in (process, *process.children(recursive=True))))
            except psutil.NoSuchProcess:
                continue
            time.sleep(SAMPLE_S)
        seconds = time.perf_counter() - start
        if child.returncode:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command[:3])} ended with status {child.returncode}:\n{log.read()[-3000:]}")
    return seconds, peak


def markdown(report: dict[str, Any]) -> str:
    """The table for the README."""
    head = ["method", "plain", "Thaw alone", "Thaw after a probe", "plain memory", "Thaw memory", "plain accuracy", "Thaw accuracy"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for method in dict.fromkeys(r["method"] for r in report["records"]):
        p, t = (_median(report["records"], method, side) for side in ("plain", "alone"))
        a = _median(report["records"], method, "after") if method != "probe" else None
        lines.append("| " + " | ".join([
            f"`{method}`", f"{p['seconds']:.0f} s", _faster(p, t), _faster(p, a) if a else "", f"{p['peak_bytes'] / 1e9:.2f} GB",
            f"{t['peak_bytes'] / 1e9:.2f} GB ({t['peak_bytes'] / p['peak_bytes']:.2f}x)", f"{p['accuracy']:.3f}",
            f"{t['accuracy']:.3f}"]) + " |")
    machine_text = ", ".join(f"{value}" for value in report["machine"].values())
    rows = ", ".join(f"{count:,} {split}" for split, count in report["rows"].items())
    recipe = report["recipe"]
    return "\n".join([*lines, "", f"{report['data']} ({rows}), {report['model']}, {report['effort']} effort: {recipe['epochs']:g} epochs, "
                      f"{recipe['max_length']} tokens, batch {recipe['batch_size']}. Whole processes, start-up included; "
                      f"memory is the peak resident size. {machine_text}."])


def _faster(plain_side: dict[str, float], side: dict[str, float]) -> str:
    return f"{side['seconds']:.0f} s ({plain_side['seconds'] / side['seconds']:.1f}x faster)"


def _median(records: list[dict[str, Any]], method: str, side: str) -> dict[str, float]:
    mine = [r for r in records if r["method"] == method and r["side"] == side]
    return {key: statistics.median(r[key] for r in mine) for key in ("seconds", "train_seconds", "peak_bytes", "accuracy")}


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
