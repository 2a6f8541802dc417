"""The memory estimate against what runs take: every method, in fp32 and bf16, at 64, 128 and 512 tokens; and pictures.

    python benchmarks/memory.py                                          all of it (about 40 fresh processes of some six
    steps) python benchmarks/memory.py --methods lora,full --lengths 128 --precisions bf16 --out memory
    python benchmarks/memory.py --model efficientnet-lite0               the same for made-up pictures

Each case is a run of the queue, in a process of its own, with empty caches, on made-up rows: texts of random words
of mixed length, or pictures of noise. What is compared is the run's own record: peak resident memory above what the
process held before the model was loaded.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core import settings as settings_module  # noqa: E402
from core.cli import follow, sources  # noqa: E402
from core.domain.dataset import Content, Dataset, Split, Task  # noqa: E402
from core.domain.model import ModelFacts  # noqa: E402
from core.domain.recipe import Recipe  # noqa: E402
from core.models import methods  # noqa: E402
from core.planning import effort  # noqa: E402
from core.planning.estimate import MemoryEstimate, memory  # noqa: E402
from core.settings import Settings  # noqa: E402
from core.training import device as device_module  # noqa: E402

WORKSPACE = "memory"
ROWS = {"train": 96, "validation": 32, "test": 32}
CLASSES = ("one", "two", "three", "four")
WORDS_A_TEXT = (6, 260)
"""Texts are of mixed length, as real ones are, log-uniform between these, in made-up words of about 2.7 tokens (few
words would touch few rows of the embedding, which is mapped from its file): a third is shorter than 64 tokens, a tenth
longer than 512."""
PICTURE_SIDE = 64


def main() -> int:
    """Run every case, print a table with ratios, write memory.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--methods", default="probe,partial,lora,qlora,full,scratch")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--lengths", default="64,128,512")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    settings = settings_module.load()
    facts = sources.model(args.model, settings=settings, workspace=WORKSPACE)
    dataset = made_up(facts.tasks[0], settings)
    lengths = [int(length) for length in args.lengths.split(",")] if facts.max_length else [0]
    args.out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    for length in lengths:
        for precision in args.precisions.split(","):
            for method in args.methods.split(","):
                if methods.get(method).applies_to(facts):
                    continue
                recipe = recipe_for(dataset, facts, method, length, precision)
                records.append({"method": method, "precision": precision, "length": length}
                               | one(recipe, dataset, facts, settings))
                print(json.dumps(records[-1]), file=sys.stderr, flush=True)
    (args.out / f"memory-{args.model}.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    print(markdown(records))
    return 0


def made_up(task: Task, settings: Settings) -> Dataset:
    """A dataset of noise: texts, or pictures in class folders."""
    random = np.random.default_rng(0)
    labels = [CLASSES[row % len(CLASSES)] for row in range(sum(ROWS.values()))]
    splits = [name for name, rows in ROWS.items() for _ in range(rows)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "noise")
        if task.content is Content.PICTURE:
            from PIL import Image

            for row, (label, split) in enumerate(zip(labels, splits, strict=True)):
                place = folder / split / label
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 255, (PICTURE_SIDE, PICTURE_SIDE, 3),
                                                dtype=np.uint8)).save(place / f"{row}.png")
            source = Path(shutil.make_archive(str(folder), "zip", folder))
        else:
            source = folder.with_suffix(".csv")
            lengths = np.exp(random.uniform(*np.log(WORDS_A_TEXT), len(labels))).astype(int)
            letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
            words = ["".join(random.choice(letters, size)) for size in random.integers(2, 8, 5000)]
            texts = [" ".join(random.choice(words, length)) for length in lengths]
            lines = [f"{text},{label},{split}\n" for text, label, split in zip(texts, labels, splits, strict=True)]
            source.write_text("text,label,split\n" + "".join(lines), encoding="utf-8")
        return sources.dataset(str(source), shift=None, settings=settings, workspace=WORKSPACE)


def recipe_for(dataset: Dataset, facts: ModelFacts, method: str, length: int, precision: str) -> Recipe:
    """Thaw's own default recipe for one epoch at this length and precision."""
    found = effort.defaults(dataset=dataset.id, task=dataset.task, base_model=facts.id, method=method, effort="normal",
                            train_rows=dataset.rows(Split.TRAIN), mean_length=dataset.mean_length, facts=facts)
    return found.replace(max_length=length, precision=precision, epochs=1.0, batch_size=16, evaluations_per_epoch=2,
                         track_features=64, gradient_checkpointing="off")


def one(recipe: Recipe, dataset: Dataset, facts: ModelFacts, settings: Settings) -> dict[str, Any]:
    """{"measured", "estimated", the estimate's parts} in bytes, and their ratio, of one run in a process of its own."""
    shutil.rmtree(settings.cache, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        run_dir = Path(temporary, "run")
        run_dir.mkdir()
        (run_dir / "recipe.json").write_text(json.dumps(recipe.to_json()), encoding="utf-8")
        outcome = follow.folder(run_dir, settings=settings, workspace=WORKSPACE, resume=False)
        if outcome.result is None:
            raise RuntimeError(f"{recipe.method} at {recipe.max_length} in {recipe.precision} failed: "
                               f"{outcome.failure}")
        measured = outcome.result.peak_memory_bytes
    parts = memory(recipe, facts=facts, device=device_module.read(settings), n_classes=len(dataset.classes))
    return {"measured": measured, "estimated": parts.total, "ratio": round(parts.total / measured, 3), **_parts(parts)}


def _parts(estimate: MemoryEstimate) -> dict[str, int]:
    return {name: value for name, value in vars(estimate).items() if isinstance(value, int) and name != "available"}


def markdown(records: list[dict[str, Any]]) -> str:
    """A table with a row a method and a column a length and precision: estimated / measured MB (ratio)."""
    columns = list(dict.fromkeys((r["length"], r["precision"]) for r in records))
    cells = {(r["method"], r["length"], r["precision"]): r for r in records}
    heads = ["method", *(f"{f'{length} tokens, ' if length else ''}{precision}" for length, precision in columns)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for method in dict.fromkeys(r["method"] for r in records):
        found = [cells.get((method, *column)) for column in columns]
        lines.append("| " + " | ".join([f"`{method}`", *(
            f"{r['estimated'] / 1e6:.0f} / {r['measured'] / 1e6:.0f} MB ({r['ratio']:.2f})" if r
            else "" for r in found)]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
