"""`core shift`: how a finished run moved the features of the same rows, block by block."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.cli import output
from core.cli.output import ProgressLine
from core.cli.use import run_folder
from core.domain.dataset import Split
from core.domain.footprint import effective_plan
from core.domain.recipe import Recipe
from core.errors import NotFoundError
from core.settings import Settings

if TYPE_CHECKING:
    from core.models.network import Network
    from core.shift.report import Shift
    from core.tasks.base import Rows

MAX_ROWS = 2000
"""Rows of the probe sample: all test and shift rows up to this many, evenly spaced."""


def run(args: Namespace, settings: Settings) -> int:
    """Measure the shift between the base model and the run's tuned model, and print it."""
    output.quiet_libraries()
    report = measure(run_folder(args.run_dir), settings=settings, workspace=args.workspace)
    if args.json:
        output.document(report.to_json())
    else:
        _print(report.to_json())
    return 0


def measure(run_dir: Path, *, settings: Settings, workspace: str) -> Shift:
    """Features of both sides on the run's test rows (and shift rows), each block, compared. Both sides are loaded from disk."""
    from core.data import library
    from core.features import pooled
    from core.models import facts as facts_module
    from core.shift import report
    from core.shift.sides import Sides
    from core.training import artifact
    from core.training.execute import read_rows

    tuned = artifact.load(run_dir, settings=settings)
    recipe = tuned.recipe
    facts = facts_module.read(recipe.base_model, settings)
    if facts is None:
        raise NotFoundError(f"The base model {recipe.base_model} is not in the data folder.", remedy="Run the recipe again to fetch it.")
    rows = read_rows(library.load(recipe.dataset, settings=settings, workspace=workspace), settings=settings, workspace=workspace)
    sample = _sample(rows)
    features = []
    for name, network in (("base", _base(recipe, facts, len(rows.classes), tuned, settings)), ("tuned", tuned.network)):
        line = ProgressLine(f"features of {name}:")
        encoded = _encoded(rows, recipe, facts, tuned.processor, settings)
        features.append(pooled.every_block(network, encoded, sample, precision=tuned.precision,
                                           report=lambda done, total, line=line: line.show(f"{done:.0f} of {total:.0f} rows")))
        line.done(f"{len(sample)} rows")
    plan, names = effective_plan(recipe, facts), facts.block_names[:-1]
    is_shift = rows.splits[sample] == Split.SHIFT.value
    both = Sides(names=names, base=[features[0][n] for n in names], tuned=[features[1][n] for n in names],
                 frozen=tuple(plan.is_frozen(n) for n in names), labels=rows.labels[sample], shift=is_shift if is_shift.any() else None)
    return report.measure(both, run=run_dir.name, base=recipe.base_model, seed=0)


def _base(recipe: Recipe, facts: Any, n_classes: int, tuned: Any, settings: Settings) -> Network:
    """The base model as published; its head plays no part in features."""
    from core import tasks
    from core.models import facts as facts_module
    from core.training import artifact

    folder = facts_module.folder(recipe.base_model, settings)
    return tasks.adapter(recipe.task).build(folder, recipe=recipe, facts=facts, n_classes=n_classes, weights="pretrained", dropout=0.0,
                                            compute_dtype=artifact.compute_dtype(tuned.precision), device=tuned.network.device.type)


def _encoded(rows: Rows, recipe: Recipe, facts: Any, processor: Any, settings: Settings) -> Any:
    from core import tasks

    return tasks.adapter(recipe.task).encode(rows, processor=processor, recipe=recipe, facts=facts, cache=settings.cache)


def _sample(rows: Rows) -> np.ndarray:
    """Indices of at most MAX_ROWS test rows, then at most MAX_ROWS shift rows, evenly spaced."""
    parts = []
    for split in (Split.TEST, Split.SHIFT):
        found = rows.of(split.value)
        parts.append(found[np.linspace(0, len(found) - 1, min(len(found), MAX_ROWS)).astype(int)] if len(found) else found)
    return np.concatenate(parts)


def _print(report: dict[str, Any]) -> None:
    def number(value: Any) -> str:
        return "-" if value is None else f"{value:.3f}"

    print(f"{report['run']} against {report['base']} on {report['rows']:,} rows")
    for sentence in report["findings"]:
        print(sentence)
    columns = ("cka", "cka_low", "cka_high", "knn_overlap", "knn_overlap_chance", "displacement", "probe_accuracy_base",
               "probe_accuracy_tuned")
    print(output.table(["block", "frozen", *(c.replace("_", " ") for c in columns)], [
        [block["name"], "yes" if block["frozen"] else "no", *(number(block.get(c)) for c in columns)] for block in report["blocks"]]))
    for warning in report["warnings"]:
        print(f"Note: {warning['message']}")
