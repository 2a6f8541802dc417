"""`core experiment`: a question, the runs that settle it, and what they support saying."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import metrics, values
from core.analysis.experiment_card import TITLES
from core.api import questions
from core.cli import compare, follow, output, sources
from core.domain import codec
from core.domain.experiment import Experiment, Planned
from core.domain.run import Interval, Result
from core.errors import RecipeError
from core.models.methods import get as method_of
from core.planning import designs, recipes
from core.planning.designs import Design
from core.planning.designs.base import Choices, expanded
from core.planning.designs.base import experiment as laid_out
from core.planning.designs.found import Found
from core.settings import Settings

FILE = "experiment.json"


def run(args: Namespace, settings: Settings) -> int:
    """Lay out, say what it will take, train, answer. 0 when every run is done, else 1."""
    out = Path(args.out).absolute()
    found = measure(designs.get(args.design), _choices(args, settings), out=out, seeds=args.seeds, settings=settings,
                    workspace=args.workspace)
    if args.json:
        output.document(found.report)
    else:
        _print(found.report, out)
    return 0 if found.complete else 1


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What an experiment's runs left in a folder."""

    found: Found | None
    report: dict[str, Any]
    complete: bool
    """Whether every run is done."""


def measure(design: Design, choices: Choices, *, out: Path, seeds: int | None, settings: Settings,
            workspace: str, features: bool = True) -> Measurement:
    """Lay out, say what it will take, train what is not done, and read what it found; `experiment.json` in `out` holds
    the same. features: runs make and compare theirs at once."""
    experiment = laid_out(design, choices, seeds=range(seeds) if seeds else ())
    planned = expanded(experiment)
    _check_folder(out, planned)
    _say(design, experiment, planned, choices)
    arms = [compare.Arm(recipe=each.recipe, folder=out / each.name) for each in planned]
    waiting = [arm for arm in arms if not _is_done(arm)]
    if len(waiting) < len(arms):
        output.say(f"{len(arms) - len(waiting)} of {len(arms)} runs are done in {out} and are not repeated.")
    if waiting:
        compare.train_all(waiting, settings=settings, workspace=workspace, asked=experiment, features=features)
    out.mkdir(parents=True, exist_ok=True)
    folders = {(each.arm, each.rate, each.seed): out / each.name for each in planned}
    data = {"name": choices.dataset.name, "id": choices.dataset.id, "hash": choices.dataset.content_hash}
    reading = questions.read(design, experiment, folders)
    report = reading.document | {"dataset": data}
    (out / FILE).write_text(json.dumps(codec.to_json(report), indent=2, ensure_ascii=False), encoding="utf-8")
    return Measurement(found=reading.found, report=report, complete=all(_is_done(arm) for arm in arms))


def _choices(args: Namespace, settings: Settings) -> Choices:
    dataset = sources.dataset(args.data, shift=args.shift_data, wanted=sources.wanted(args), settings=settings,
                              workspace=args.workspace, options=sources.options(args))
    models = tuple(sources.model(name, settings=settings, workspace=args.workspace)
                   for name in dict.fromkeys(_list(args.model)))
    for facts in models:
        compare.check_task(dataset, facts)
    chosen = tuple(dict.fromkeys(_list(args.methods)))
    for name in chosen:
        method_of(name)
    return Choices(dataset=dataset, models=models, methods=chosen, effort=args.effort, freeze=args.freeze,
                   budgets=tuple(compare.budgets(args.budgets)) if args.budgets else (), rates=rates(args.rates),
                   depths=depths(args.depths), device=follow.device(settings, workspace=args.workspace))


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def rates(text: str) -> tuple[float, ...]:
    """`0.3,1,3` -> factors on the learning rates, each once, in order."""
    found = []
    for part in _list(text):
        try:
            factor = float(part)
        except ValueError:
            factor = 0.0
        if not 1e-4 <= factor <= 1e4:
            raise RecipeError(f"The rate {part!r} is not a factor on the usual learning rate.",
                              why="1 is the usual rate of each method.",
                            remedy="Use positive numbers, e.g. 0.3,1,3.")
        found.append(factor)
    return tuple(sorted(set(found)))


def depths(text: str) -> tuple[int, ...]:
    """`1,4` -> numbers of blocks, each once, in order."""
    found = _list(text)
    for part in found:
        if not part.isdigit():
            raise RecipeError(f"The depth {part!r} is not a number of blocks.",
                              why="A depth counts the blocks that are thawed from the top.",
                              remedy="Use whole numbers, e.g. 1,4.")
    return tuple(sorted({int(part) for part in found}))


def _check_folder(out: Path, planned: list[Planned]) -> None:
    """Runs of another recipe are never taken for these, nor written over."""
    for each in planned:
        folder = out / each.name
        if (folder / "recipe.json").is_file() and values.recipe(folder) != each.recipe:
            raise RecipeError(f"{folder} holds a run of another recipe.",
                              why="An experiment goes on with the runs of its own folder.",
                              remedy="Name another folder with --out, or delete that one.")


def _is_done(arm: compare.Arm) -> bool:
    result = values.read(arm.folder / "result.json", Result)
    return result is not None and result.complete


def _say(design: Design, experiment: Experiment, planned: list[Planned], choices: Choices) -> None:
    """What it will be, before it starts."""
    known = {facts.id: facts for facts in choices.models}
    estimates = [recipes.estimate(each.recipe, facts=known[each.recipe.base_model], device=choices.device,
                                  dataset=choices.dataset, slots=1) for each in planned]
    seconds, memory = sum(each.seconds for each in estimates), max(each.memory.total for each in estimates)
    seeds = f"{len(experiment.seeds)} seeds" if len(experiment.seeds) > 1 else "one seed (nothing is known of others)"
    rates = f" × {len(experiment.rates)} rates" if len(experiment.rates) > 1 else ""
    output.say(f"{design.question} {len(experiment.arms)} arms × {seeds}{rates} = {len(planned)} runs, about "
               f"{seconds / 60:.0f} min one after another, at most {output.size(memory)} of memory. Tokens, features "
               "of the frozen model and frozen lower blocks are computed once.")


def made(choices: Choices, report: dict[str, Any]) -> dict[str, Any]:
    """When and on what a result was made."""
    device = choices.device
    seconds = [arm["cost"]["marginal_s"] for arm in report["arms"] for _ in arm["seeds"]]
    return {"date": time.strftime("%Y-%m-%d"), "device": device and device.name, "cores": device and device.cores,
            "precision": device and device.precision, "versions": dict(device.versions) if device else {},
            "seconds": sum(each for each in seconds if each)}


def _print(report: Mapping[str, Any], out: Path) -> None:
    metric = metrics.REGISTRY.get(report["metric"] or "")
    if metric is not None:
        shown = [(arm["label"], len(arm["seeds"]), *(
            output.number(metric, codec.from_json(Interval, found) if found else None)
            for found in (arm["metrics"].get(split, {}).get(metric.name) for split in ("test", "shift"))),
            *(f"{arm['cost'][name]:.0f} s" if arm["cost"][name] is not None else "-"
              for name in ("cold_s", "marginal_s"))) for arm in report["arms"]]
        print(output.table(("arm", "seeds", metric.on("test"), metric.on("shift"), "time alone", "time added"), shown))
        if report.get("shift_made"):
            print(f"The shift set is {report['shift_made']}: the test rows, changed, and no second domain.")
    for beside in (report["card"] or {}).get("beside", ()):
        print(f"{beside['title']}: {beside['word']}")
        for line in beside["lines"]:
            judged = f" ({line['word']})" if line["word"] and line["subject"] != "target" else ""
            print(f"  {TITLES[line['subject']]}{judged}: {line['sentence']}")
    print(report["answer"]["sentence"])
    print(f"Runs and {FILE} are in {out}")
