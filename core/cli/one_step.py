"""`core try`: one real step of each method, and what a run of it would need, before a long run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from core.api import trials
from core.cli import compare, follow, output, sources
from core.cli.output import ProgressLine
from core.domain import codec
from core.domain.one_step import OneStep
from core.domain.recipe import Recipe
from core.domain.run import Failure, JobKind
from core.errors import RecipeError, ThawError
from core.models.methods import get
from core.planning import effort
from core.planning.names import method as label_of
from core.settings import Settings


def run(args: Namespace, settings: Settings) -> int:
    """Try one step of every method. 0 when every one could be taken, else 1."""
    dataset = sources.dataset(args.data, shift=None, wanted=sources.wanted(args), settings=settings,
                              workspace=args.workspace, options=sources.options(args))
    facts = sources.model(args.model, settings=settings, workspace=args.workspace)
    compare.check_task(dataset, facts)
    wanted = list(dict.fromkeys(name.strip() for name in args.methods.split(",") if name.strip()))
    names, skipped = compare.applicable(wanted, dataset.task, facts)
    skipped |= {name: "it is not trained step by step" for name in names if get(name).card.solved}
    for name, reason in skipped.items():
        output.say(f"{label_of(name, dataset.task)} is left out: {reason}.")
    names = [name for name in names if name not in skipped]
    if not names:
        raise RecipeError("There is no step to try.", why="No method is left that is trained step by step.",
                          remedy="Choose others, such as --methods lora,full.")
    device = follow.device(settings, workspace=args.workspace)
    arms = compare.plan(dataset, facts, methods=names, seeds=[0], budgets=[None], level=args.effort,
                        freeze_spec=args.freeze, out=Path(), device=device)
    found = []
    for arm in arms:
        recipe = arm.recipe.replace(**{field: value for field, value in (("max_length", args.length),
                                                                         ("batch_size", args.batch)) if value})
        effort.validate(recipe, facts)
        found.append(_one(recipe, settings, args))
    report = {"dataset": {"name": dataset.name, "hash": dataset.content_hash, "id": dataset.id}, "model": facts.id,
              "steps": found, "left_out": [{"method": name, "reason": reason} for name, reason in skipped.items()]}
    if args.json:
        output.document(report)
    else:
        _print(found)
    return 0 if all(each["failure"] is None for each in found) else 1


def _one(recipe: Recipe, settings: Settings, args: Namespace) -> dict[str, Any]:
    """The step of one method, or the three parts of why it failed, beside the recipe."""
    label = get(recipe.method).card.label
    line = ProgressLine(f"{label}:")
    said: dict[str, Any] = {"method": recipe.method, "recipe": recipe.to_json(), "failure": None}
    try:
        data = follow.job(JobKind.TRIAL, trials.payload(recipe), name=f"One step of {label}", settings=settings,
                          workspace=args.workspace, line=line)
    except ThawError as error:
        failure = trials.mended(Failure(kind=error.kind, what=error.what, why=error.why, remedy=error.remedy))
        assert failure is not None
        line.done("failed")
        output.error(failure)
        return said | {"failure": codec.to_json(failure)}
    line.done("done")
    return said | {name: value for name, value in data.items() if name != "schema_version"}


def _print(found: list[dict[str, Any]]) -> None:
    steps = [codec.from_json(OneStep, each) for each in found if each["failure"] is None]
    rows = [(get(step.method).card.label, output.size(step.peak_memory_bytes), output.size(step.estimated_memory_bytes),
             f"{step.step_seconds:.2f} s", f"{step.steps:,}", f"{step.seconds / 60:.1f} min",
             f"{step.estimated_seconds / 60:.1f} min", "-" if step.taught is None else f"{step.taught:,}")
            for step in steps]
    if rows:
        print(output.table(("method", "memory", "planned", "a step", "steps", "run", "planned", "taught tokens"), rows))
