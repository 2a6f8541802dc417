"""`core table`: the method table, all methods on all bundled sets with labels, and its results stored for advice."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from core import advice, files
from core.cli import experiment, follow, output, sources
from core.data.catalogue import DATASETS
from core.domain.dataset import BundledDataset, Dataset, Split
from core.domain.device import Device
from core.domain.model import ModelFacts
from core.errors import RecipeError
from core.models.catalogue import MODELS
from core.models.methods import REGISTRY
from core.planning import designs, recipes
from core.planning.designs.base import Choices
from core.settings import Settings


def run(args: Namespace, settings: Settings) -> int:
    """Measure set after set; a set that is done is not measured again. 0 when every run is done, else 1."""
    out = Path(args.out).absolute()
    entries = _sets(args.data)
    asked = tuple(dict.fromkeys(part.strip() for part in args.methods.split(",") if part.strip()))
    whole = True
    for number, entry in enumerate(entries, 1):
        output.say(f"Set {number} of {len(entries)}: {entry.name}")
        model = next(each.id for each in MODELS if entry.task in each.tasks)
        dataset = sources.dataset(entry.id, shift=None, settings=settings, workspace=args.workspace)
        facts = sources.model(model, settings=settings, workspace=args.workspace)
        device = follow.device(settings, workspace=args.workspace)
        choices = Choices(dataset=dataset, models=(facts,), methods=asked or _all(facts, device, dataset),
                          budgets=(args.budget,), rates=experiment.rates(args.rates), effort=args.effort, device=device)
        found = experiment.measure(designs.get("methods"), choices, out=out / entry.id, seeds=args.seeds,
                                   settings=settings, workspace=args.workspace)
        whole &= found.complete
        if args.store and found.complete:
            files.write_json(advice.STORED / f"{entry.id}.json", advice.document(
                dataset=_described(entry, dataset, args.budget), effort=args.effort,
                made=experiment.made(choices, found.report), report=found.report))
    return 0 if whole else 1


def _all(facts: ModelFacts, device: Device | None, dataset: Dataset) -> tuple[str, ...]:
    """Every method that applies."""
    return tuple(name for name in REGISTRY if recipes.why_not(name, facts, device, dataset.task) is None)


def _sets(asked: str) -> list[BundledDataset]:
    """Bundled sets whose rows carry labels, or those of them that are named."""
    labelled = {entry.id: entry for entry in DATASETS if entry.task.labelled}
    names = [part.strip() for part in asked.split(",") if part.strip()] or list(labelled)
    if unknown := [name for name in names if name not in labelled]:
        raise RecipeError(f"There is no bundled set {unknown[0]!r} with labels.",
                          why=f"These are: {', '.join(labelled)}.", remedy="Choose among them.")
    return [labelled[name] for name in dict.fromkeys(names)]


def _described(entry: BundledDataset, dataset: Dataset, budget: int) -> dict[str, Any]:
    situation = advice.of(dataset, budget=budget)
    return {"id": entry.id, "name": entry.name, "task": dataset.task.value, "labels": situation.labels,
            "classes": situation.classes, "shift": situation.shift, "test": dataset.rows(Split.TEST)}
