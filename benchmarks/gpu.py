"""Language models on a GPU: Thaw against trl's `SFTTrainer` with peft, at 0.1 to 3 billion weights, LoRA and QLoRA, 512
to 4,096 tokens a row; and the memory estimate against what a run takes.

    python benchmarks/gpu.py                                    all of it: some hours, about 12 GB of disk
    python benchmarks/gpu.py --quick                            two shapes, two lengths, few steps: about 20 minutes
    python benchmarks/gpu.py --shapes qwen2.5-3b --lengths 2048 --methods qlora
    python benchmarks/gpu.py --shapes tiny                      tries every line on a CPU; its numbers mean nothing

Weights are random numbers of published shapes (`benchmarks/made_model.py`), rows are made-up words: nothing is fetched.
The other side needs trl (`pip install trl`); it and the measuring are those of `benchmarks/language.py`. Two pairs of
sides do alike: *tuned* and *thaw* keep all activations, *documented* and *recomputing* recompute them. A batch has
`--tokens` tokens, however long its rows are; what does not fit in memory is written down as such.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))
os.environ |= {"THAW_PANEL": "0", "THAW_HUB": "0"}  # nothing is fetched

import language  # noqa: E402
import made_model  # noqa: E402
import run as harness  # noqa: E402

from core import settings as settings_module  # noqa: E402
from core.cli import sources  # noqa: E402
from core.data.check import Options  # noqa: E402
from core.data.shapes import Wanted  # noqa: E402
from core.domain.dataset import Dataset, Role, Task  # noqa: E402
from core.domain.device import Device  # noqa: E402
from core.domain.model import ModelFacts  # noqa: E402
from core.domain.recipe import Recipe  # noqa: E402
from core.domain.resolve import resolved  # noqa: E402
from core.settings import Settings  # noqa: E402
from core.training import device as device_module  # noqa: E402

PAIRS = (("tuned", "thaw", "kept"), ("documented", "recomputing", "recomputed"))
"""(the script, Thaw, what becomes of activations)."""
WARM_UP = 5
"""Steps left out of speed: kernels are chosen and memory is found in them."""
TRY_ON_CPU = "tiny"


def main() -> int:
    """Run every case on every side, write gpu.json and gpu.md after each, print the table."""
    args = arguments()
    settings = settings_module.load()
    language.WARM_UP = min(WARM_UP, args.steps - 1)
    device = device_module.read(settings)
    args.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"machine": harness.machine(), "steps": args.steps, "tokens": args.tokens, "records": []}
    for shape in args.shapes.split(","):
        facts = model(shape, args.models or settings.home / "made-models", settings)
        for length in map(int, args.lengths.split(",")):
            batch = max(1, args.tokens // length)
            dataset = rows(length, args.steps * batch, settings)
            for method in args.methods.split(","):
                recipe = recipe_for(dataset, facts, device, method, args, length=length, batch=batch)
                for side in args.sides.split(","):
                    case = {"shape": shape, "parameters": facts.parameters, "length": length, "batch": batch,
                            "method": method, "precision": recipe.precision, "side": side}
                    print(f"{shape}, {length} tokens x {batch}, {method}, {side} ...", file=sys.stderr, flush=True)
                    report["records"].append(case | one(recipe, side, dataset, facts, settings, args.steps))
                    write(report, args.out)
    print(markdown(report))
    return 0


def arguments() -> argparse.Namespace:
    """What was asked for. Ends the program where there is no GPU for it, or no trl."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", "--shape", default="smollm2-135m,qwen2.5-0.5b,llama-3.2-1b,qwen2.5-3b")
    parser.add_argument("--lengths", default="512,1024,2048,4096")
    parser.add_argument("--methods", default="lora,qlora")
    parser.add_argument("--sides", default="tuned,thaw,documented,recomputing")
    parser.add_argument("--tokens", type=int, default=8192, help="of a batch")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="two shapes, two lengths, 15 steps, activations kept")
    parser.add_argument("--models", type=Path, help="where the made models are kept (default: in the data folder)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    if args.quick:
        chosen = {"shapes": "smollm2-135m,llama-3.2-1b", "lengths": "512,2048", "sides": "tuned,thaw", "steps": 15}
        vars(args).update({name: value for name, value in chosen.items()
                           if vars(args)[name] == parser.get_default(name)})
    if args.shapes == TRY_ON_CPU:
        args.lengths, args.tokens, args.steps = "64,128", 256, min(args.steps, 3)
    elif unknown := set(args.shapes.split(",")) - set(made_model.SHAPES):
        parser.error(f"there is no shape {', '.join(sorted(unknown))}; known are {', '.join(made_model.SHAPES)}")
    elif not torch.cuda.is_available():
        parser.exit(2, "There is no CUDA device on this machine, and these models need one. `--shapes tiny` tries "
                       "every line of this benchmark on a CPU.\n")
    if {"tuned", "documented"} & set(args.sides.split(",")) and importlib.util.find_spec("trl") is None:
        parser.exit(2, "The other side of this benchmark needs trl (`pip install trl`). `--sides thaw,recomputing` "
                       "measures Thaw alone.\n")
    return args


def model(shape: str, folder: Path, settings: Settings) -> ModelFacts:
    """The inspected model of that shape, made where it is not there."""
    if not (folder / shape / "config.json").is_file():
        print(f"{shape}: made of random numbers in {folder / shape} ...", file=sys.stderr, flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            made_model.make(Path(temporary, shape), shape)
            Path(temporary, shape).rename(folder / shape)
    return sources.model(str(folder / shape), settings=settings, workspace=harness.WORKSPACE)


def rows(length: int, train: int, settings: Settings) -> Dataset:
    """Made-up rows of about that many tokens, none cut at import."""
    with tempfile.TemporaryDirectory() as temporary:
        path = made_model.rows(Path(temporary, f"words-{length}.csv"), length=length, train=train)
        wanted = Wanted(task=Task.LANGUAGE_MODELLING, columns={Role.TEXT: "text", Role.SPLIT: "split"})
        return sources.dataset(str(path), shift=None, settings=settings, workspace=harness.WORKSPACE, wanted=wanted,
                               options=Options(passage_tokens=0))


def recipe_for(dataset: Dataset, facts: ModelFacts, device: Device, method: str, args: argparse.Namespace, *,
               length: int, batch: int) -> Recipe:
    """The recipe of `benchmarks/language.py`, with nothing left to the device; QLoRA's optimiser is Thaw's own on a
    GPU."""
    asked = argparse.Namespace(steps=args.steps, batch=batch, length=length)
    found = language.recipe_for(dataset, facts, method, asked, seed=0)
    return resolved(found.replace(optimizer="auto" if method == "qlora" else found.optimizer), device)


def one(recipe: Recipe, side: str, dataset: Dataset, facts: ModelFacts, settings: Settings,
        steps: int) -> dict[str, Any]:
    """{"tokens_a_second", "bytes", …} of one run in a process of its own, or {"failed": why}."""
    try:
        if side in ("tuned", "documented"):
            found = language.peer(recipe, dataset, facts, settings, steps=steps, tuned=side == "tuned",
                                  steps_only=False)
        else:
            found = language.thaw(recipe.replace(gradient_checkpointing="on" if side == "recomputing" else "off"),
                                  settings, steps_only=False)
    except RuntimeError as error:
        said = str(error)
        print(said, file=sys.stderr)
        return {"failed": "out of memory" if "out of memory" in said.lower() else said.strip().splitlines()[-1]}
    return found | {"bytes": found["device_bytes"] or found["peak_bytes"]}


def write(report: dict[str, Any], out: Path) -> None:
    """What is there so far."""
    (out / "gpu.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    (out / "gpu.md").write_text(markdown(report) + "\n", encoding="utf-8")


def markdown(report: dict[str, Any]) -> str:
    """A line a case and pair of sides: tokens a second and memory of both, their ratios, estimate ÷ measured."""
    heads = ["model", "rows x tokens", "method", "activations", "script", "Thaw", "÷", "script", "Thaw", "÷",
             "estimate ÷ measured"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    sides: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in report["records"]:
        key = tuple(record[name] for name in ("shape", "parameters", "length", "batch", "method", "precision"))
        sides.setdefault(key, {})[record["side"]] = record
    for (shape, parameters, length, batch, method, precision), found in sides.items():
        for script, own, activations in PAIRS:
            peer, thaw = found.get(script, {}), found.get(own, {})
            if not (peer or thaw):
                continue
            lines.append("| " + " | ".join([
                f"{shape} ({parameters / 1e9:.2f} billion)", f"{batch} x {length}", f"`{method}`, {precision}",
                activations, *compared(peer, thaw, "tokens_a_second", 1.0, "{:,.0f} tokens/s"),
                *compared(peer, thaw, "bytes", 1e9, "{:.2f} GB"),
                f"{thaw['estimated_bytes'] / thaw['own_bytes']:.2f}" if thaw.get("own_bytes") else ""]) + " |")
    machine = ", ".join(str(value) for value in report["machine"].values())
    return "\n".join([*lines, "", f"{report['steps']} steps of at most {report['tokens']:,} tokens; random weights. "
                                  f"{machine}."])


def compared(peer: dict[str, Any], thaw: dict[str, Any], name: str, unit: float, form: str) -> list[str]:
    """[of the script, of Thaw, Thaw ÷ script]; why a side failed, or nothing, where it has no number."""
    shown = [form.format(side[name] / unit) if name in side else side.get("failed", "") for side in (peer, thaw)]
    return [*shown, f"{thaw[name] / peer[name]:.2f}" if name in peer and name in thaw else ""]


if __name__ == "__main__":
    sys.exit(main())
