"""`core compare`: the same pretrained model trained several ways on one dataset, side by side."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import metrics
from core.analysis import forgetting, predictions
from core.cli import follow, output, sources
from core.cli.follow import Outcome
from core.cli.output import ProgressLine
from core.domain import codec, freeze, resolve
from core.domain.dataset import Dataset, Split, Task
from core.domain.device import Device
from core.domain.experiment import Experiment
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import Interval, JobKind, Result, Status, train_payload
from core.errors import RecipeError
from core.metrics import Metric, paired
from core.models.methods import REGISTRY, get
from core.planning import effort, recipes
from core.planning.budget import limited
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One planned run and where it goes."""

    recipe: Recipe
    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name


def run(args: Namespace, settings: Settings) -> int:
    """Plan, prepare, train, report. 0 when every run is done, else 1."""
    out = Path(args.out).absolute()
    methods = list(dict.fromkeys(name.strip() for name in args.methods.split(",") if name.strip()))
    for name in methods:
        get(name)
    dataset = sources.dataset(args.data, shift=args.shift_data, wanted=sources.wanted(args), settings=settings,
                              workspace=args.workspace, options=sources.options(args))
    methods, skipped = applicable(methods, dataset.task)
    facts = sources.model(args.model, settings=settings, workspace=args.workspace)
    check_task(dataset, facts)
    methods, others = applicable(methods, dataset.task, facts)
    skipped |= others
    for name, reason in skipped.items():
        output.say(f"{get(name).card.label} is left out: {reason}.")
    device = follow.device(settings, workspace=args.workspace)
    arms = plan(dataset, facts, methods=methods, seeds=range(args.seeds), budgets=budgets(args.budgets),
                level=args.effort, freeze_spec=args.freeze, out=out, device=device)
    outcomes = train_all(arms, settings=settings, workspace=args.workspace)
    report = document(dataset, facts, arms, outcomes, skipped)
    report["dataset"]["shift_made"] = dataset.shift_called
    report["dataset"]["leaks"] = _leaks(dataset, settings, args.workspace)
    out.mkdir(parents=True, exist_ok=True)
    (out / "compare.json").write_text(json.dumps(codec.to_json(report), indent=2, ensure_ascii=False), encoding="utf-8")
    if args.json:
        output.document(report)
    else:
        _print(report, out)
    return 0 if len(outcomes) == len(arms) and all(o.status is Status.DONE for o in outcomes.values()) else 1


def check_task(dataset: Dataset, facts: ModelFacts) -> None:
    """Raise RecipeError, naming bundled models that fit, when the base model cannot take this dataset's rows."""
    from core.models.catalogue import MODELS

    if dataset.task in facts.tasks:
        return
    fitting = ", ".join(entry.id for entry in MODELS if dataset.task in entry.tasks)
    raise RecipeError(f"{facts.id} cannot learn from {dataset.name}.",
                      why=f"The dataset is for {dataset.task.value}; the model does "
                          f"{' and '.join(task.value for task in facts.tasks)}.",
                      remedy=f"Choose a base model for {dataset.task.value}, such as "
                             f"{fitting or 'a folder or hub id of one'}.")


def plan(dataset: Dataset, facts: ModelFacts, *, methods: Sequence[str], seeds: Sequence[int],
         budgets: Sequence[int | None], level: str, freeze_spec: str | None, out: Path,
         device: Device | None = None) -> list[Arm]:
    """All runs of the comparison: methods x budgets x seeds, validated before the first one starts.

    device: as measured; what recipes leave to it is decided here, the same for all.
    """
    rows, validation = dataset.rows(Split.TRAIN), dataset.rows(Split.VALIDATION)
    arms = []
    for method in methods:
        for budget in budgets:
            limit = limited(budget, train=rows, validation=validation)
            for seed in seeds:
                recipe = effort.defaults(dataset=dataset.id, task=dataset.task, base_model=facts.id, method=method,
                                         effort=level, seed=seed, train_rows=min(limit or rows, rows),
                                         mean_length=dataset.mean_length, facts=facts, device=device)
                recipe = recipe.replace(label_budget=limit)
                if freeze_spec and get(method).card.needs_freeze_plan:
                    recipe = recipe.replace(freeze=freeze.parse(freeze_spec, facts.block_names))
                effort.validate(recipe, facts)
                name = f"{method}-{budget or 'all'}-seed{seed}"
                arms.append(Arm(recipe=resolve.resolved(recipe, device), folder=out / name))
    if not arms:
        raise RecipeError("There is nothing to compare.", why="No method is left that applies to this model.",
                          remedy=f"Choose among: {', '.join(REGISTRY)}.")
    return arms


def train_all(arms: Sequence[Arm], *, settings: Settings, workspace: str,
              asked: Experiment | None = None, features: bool = True) -> dict[str, Outcome]:
    """Queue the arms as one experiment and follow them to their ends; those that never began are left out.

    asked: the question, where a design laid them out. features: see `core.api.experiments.Experiments.submit`.
    """
    store = Store(settings)
    experiment = store.experiments.create(workspace, arms[0].folder.parent.name, asked=asked)
    ids = store.jobs.submit([
        NewJob(workspace=workspace, kind=JobKind.TRAIN, name=arm.id, recipe=arm.recipe, experiment=experiment,
               runs_folder=arm.folder.parent, folder_name=arm.folder.name,
               payload=train_payload(features=features)) for arm in arms])
    names = dict(zip(ids, (arm.id for arm in arms), strict=True))
    lines = {id: ProgressLine(f"[{number}/{len(arms)}] {names[id]}:") for number, id in enumerate(ids, 1)}
    outcomes: dict[str, Outcome] = {}
    for id, outcome in follow.train(lines, settings=settings, workspace=workspace):
        outcomes[names[id]] = outcome
        if outcome.result is not None:
            score = output.test_score(outcome.result)
            lines[id].done(f"{outcome.status.value}, {score}, {outcome.result.seconds:.0f} s")
        else:
            lines[id].done(outcome.status.value)
            if outcome.failure is not None:
                output.error(outcome.failure)
    if len(outcomes) < len(arms):
        output.say("Stopped: the remaining runs were not started.")
    return outcomes


def document(dataset: Dataset, facts: ModelFacts, arms: Sequence[Arm], outcomes: dict[str, Outcome],
             skipped: dict[str, str]) -> dict[str, Any]:
    """The comparison as one JSON document."""
    return {
        "dataset": {"name": dataset.name, "hash": dataset.content_hash, "id": dataset.id,
                    "rows": {split: dataset.rows(split) for split in dataset.counts}},
        "model": facts.id, "model_revision": facts.revision,
        "runs": [_run(arm, outcomes.get(arm.id), facts) for arm in arms],
        "left_out": [{"method": name, "reason": reason} for name, reason in skipped.items()],
        "paired": _paired([arm for arm in arms if arm.id in outcomes and outcomes[arm.id].result is not None]),
    }


def _leaks(dataset: Dataset, settings: Settings, workspace: str) -> dict[str, Any]:
    """split -> what is to be known beside every number on it."""
    from core.data import leaky_splits

    return {split: {**codec.to_json(found), "note": found.sentence(split)}
            for split, found in leaky_splits.of(dataset, settings=settings, workspace=workspace).items()}


def _run(arm: Arm, outcome: Outcome | None, facts: ModelFacts) -> dict[str, Any]:
    result, failure = (outcome.result, outcome.failure) if outcome else (None, None)
    recipe = arm.recipe
    return {
        "id": arm.id, "folder": str(arm.folder), "method": recipe.method, "seed": recipe.seed,
        "budget": recipe.label_budget, "freeze": freeze.describe(recipe.freeze, facts.block_names),
        "status": outcome.status.value if outcome else "not started",
        "failure": codec.to_json(failure) if failure else None,
        "trainable_params": result.trainable_params if result else None,
        "total_params": result.total_params if result else None,
        "metrics": _numbers(result) if result else {}, "noise_floor": result.noise_floor if result else {},
        "seconds": result.seconds if result else None,
        "marginal_seconds": result.marginal_seconds if result else None,
        "peak_memory_bytes": result.peak_memory_bytes if result else None,
        "estimated_memory_bytes": result.estimated_memory_bytes if result else None,
        "phase_memory_bytes": result.phase_memory_bytes if result else {},
        "artifact_bytes": result.artifact_bytes if result else None,
        "phase_seconds": result.phase_seconds if result else {}, "labels_used": result.labels_used if result else {},
        "steps": result.steps if result else None,
        "precision": result.precision if result else None, "recipe": recipe.to_json(),
        "forgotten": forgetting.sentences(result) if result else [],
    }


def _numbers(result: Result) -> dict[str, Any]:
    """Every metric of every split; of language models also what the untouched model reaches on the same rows (`base`),
    and what changed elsewhere (`panel`, `kl`)."""
    more: dict[str, Any] = {"base": result.base, "panel": result.panel, "kl": result.kl}
    if result.panel_change is not None:
        more["panel_change"] = result.panel_change
    return {**codec.to_json(result.metrics), **{name: codec.to_json(value) for name, value in more.items() if value}}


def _paired(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """Every run against the first of the same seed and budget, on the same test rows, by the metric that decides."""
    first: dict[tuple[int, int | None], Arm] = {}
    found = []
    for arm in arms:
        base = first.setdefault((arm.recipe.seed, arm.recipe.label_budget), arm)
        a, b = (predictions.read(each.folder, "test") for each in (base, arm))
        if base is not arm and a is not None and b is not None:
            metric = metrics.shared([a.judged, b.judged])[0]
            test = paired.by_metric(metric, a.judged, b.judged, name_a=base.id, name_b=arm.id)
            found.append({"a": base.id, "b": arm.id, "metric": metric.name, **codec.to_json(test)})
    return found


def applicable(methods: Sequence[str], task: Task,
                facts: ModelFacts | None = None) -> tuple[list[str], dict[str, str]]:
    """Methods that apply to the task and the model (None: not here yet), and why the others do not.

    Raises RecipeError when none is left.
    """
    reasons = {name: reason for name in methods if (reason := recipes.why_not(name, facts, None, task))}
    if methods and len(reasons) == len(methods):
        others = [name for name in REGISTRY if recipes.why_not(name, facts, None, task) is None]
        said = "; ".join(f"{get(name).card.label}: {reason}" for name, reason in reasons.items())
        raise RecipeError("There is nothing to compare.",
                          why=f"No method is left that applies to this {'model' if facts else 'task'}. {said}.",
                          remedy=f"Choose among the methods that do: {', '.join(others)}.")
    return [name for name in methods if name not in reasons], reasons


def budgets(text: str) -> list[int | None]:
    """`32,128,all` -> [32, 128, None]."""
    found: list[int | None] = []
    for part in (p.strip().lower() for p in text.split(",") if p.strip()):
        if part != "all" and not (part.isdigit() and int(part) > 0):
            raise RecipeError(f"The label budget {part!r} is not a number of labels.",
                              why="A budget counts labelled rows, training and validation together.",
                              remedy="Use numbers and all, e.g. 32,128,all.")
        found.append(None if part == "all" else int(part))
    return list(dict.fromkeys(found)) or [None]


def _print(report: dict[str, Any], out: Path) -> None:
    rows = []
    columns = _columns([item["metrics"] for item in report["runs"]])
    for item in report["runs"]:
        scores = (item["metrics"].get(split, {}).get(metric.name) for split, metric in columns.values())
        intervals = [codec.from_json(Interval, score) if score else None for score in scores]
        rows.append([item["method"], item["seed"], item["budget"] or "all", item["status"],
                     *(output.number(metric, found) for (_, metric), found in zip(columns.values(), intervals,
                                                                                  strict=True)),
                     f"{item['trainable_params']:,}" if item["trainable_params"] is not None else "-",
                     *(f"{item[name]:.0f} s" if item[name] is not None else "-"
                       for name in ("seconds", "marginal_seconds")),
                     output.size(item["peak_memory_bytes"]) if item["peak_memory_bytes"] is not None else "-",
                     output.size(item["artifact_bytes"]) if item["artifact_bytes"] is not None else "-"])
    print(f"{report['model']} on {report['dataset']['name']}: test scores with 95 % intervals")
    head = ["method", "seed", "labels", "status", *columns, "trainable", "time alone", "time added", "memory",
            "artifact"]
    print(output.table(head, rows))
    if made := report["dataset"].get("shift_made"):
        print(f"The shift set is {made}: the test rows, changed, and no second domain.")
    print("time alone: without downloads, passes over the base model that runs share included; time added: "
          "without those passes")
    for leaks in report["dataset"].get("leaks", {}).values():
        print(f"Warning: {leaks['note']}")
    for test in report["paired"]:
        print(test["sentence"])
    for item in report["runs"]:
        for sentence in item.get("forgotten", ()):
            print(f"{item['id']}: {sentence}")
    if not report["dataset"]["rows"].get("test"):
        print("There are no test scores, since the dataset has no test row.")
    print(f"Runs, artifacts and compare.json are in {out}")


def _columns(measured: Sequence[dict[str, Any]]) -> dict[str, tuple[str, Metric]]:
    """Heading -> split and metric: all that any run measured on test rows, and the one that decides on shift rows."""
    found = {metric.label: ("test", metric) for metric in metrics.METRICS
             if any(metric.name in m.get("test", {}) for m in measured)}
    shift = metrics.primary(name for each in measured for name in each.get("shift", {}))
    return found | ({f"shift-set {shift.label}": ("shift", shift)} if shift else {})
