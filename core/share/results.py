"""Results of runs as the charts and tables take them: one way for the pages and for the file that is handed on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.analysis.comparison import SeedGroup
from core.analysis.curves import Curves
from core.domain.dataset import Dataset, Split
from core.domain.run import Interval, Result, Run
from core.metrics import METRICS, Metric, primary
from core.planning import arms, names
from core.planning.knobs import knob
from core.plots import curves as curve_plots
from core.plots.budgets import BudgetPoint
from core.plots.curves import Line, RunCurves
from core.plots.intervals import Point
from core.plots.numbers import measured
from core.plots.palette import Arm

Runs = Mapping[str, tuple[Run, Result]]
"""Run id -> run and what it measured."""

SECONDS_ALONE = ("Without downloads; passes over the base model that runs share are counted at what they took, "
                 "whoever ran them.")
SECONDS_ADDED = "What the run adds to others: without those passes."
AFTER = "validation"
"""These rows also chose the checkpoint: their numbers stand at the end."""
_SETTINGS = {"method": "Method", "effort": "Effort", "base_model": "Base model", "dataset": "Dataset", "task": "Task",
             "freeze.frozen": "Frozen blocks", "freeze.train_patterns": "Trained in frozen blocks"}


def best_first(runs: Runs) -> dict[str, tuple[Run, Result]]:
    """Best first by the metric that decides, on test rows; runs without it last."""
    metric = primary(name for _, result in runs.values() for name in result.metrics.get("test", {}))

    def merit(result: Result) -> float:
        interval = result.metrics.get("test", {}).get(metric.name) if metric else None
        return metric.sign * interval.value if metric and interval else -math.inf

    return dict(sorted(runs.items(), key=lambda item: merit(item[1][1]), reverse=True))


def points(runs: Runs, called: Mapping[str, str], split: str, metric: Metric,
           of: Mapping[str, Arm] | None = None) -> list[Point]:
    """One point a run that has this metric. of: run id -> its look, where that is not by method."""
    looks = {**arms.looks([run for run, _ in runs.values()]), **(of or {})}
    return [Point(name=called[i], whole=names.whole(run), value=v.value, low=v.low, high=v.high,
                  index=arms.index(run.recipe), own_look=looks[i], parameters=result.trainable_params)
            for i, (run, result) in runs.items() if (v := result.metrics.get(split, {}).get(metric.name))]


def lines(curves: Mapping[str, Curves], runs: Runs, called: Mapping[str, str], *, x: str = "steps",
          metric: Metric | None = None) -> list[Line]:
    """The learning curve of each run that has one. metric: on validation rows; None for the training loss."""
    looks = arms.looks([run for run, _ in runs.values()])
    return [replace(line, own_look=looks[i], whole=names.whole(run)) for i, (run, _) in runs.items()
            if (line := _line(curves.get(i), run, called[i], x, metric))]


def _line(found: Curves | None, run: Run, name: str, x: str, metric: Metric | None) -> Line | None:
    x_key, y_key = {"steps": "step"}.get(x, x), metric.name if metric else "loss"
    rows = (found.evals if metric else found.steps) if found else []
    kept = [row for row in rows if x_key in row and y_key in row]
    if not kept:
        return None
    return Line(name=name, x=[row[x_key] for row in kept], y=[row[y_key] for row in kept],
                index=arms.index(run.recipe))


def run_curves(curves: Curves) -> RunCurves:
    """Loss and score of one run over its steps."""
    metric = primary(curves.evals[-1] if curves.evals else ()) or METRICS[0]
    evals = [point for point in curves.evals if metric.name in point]
    return curve_plots.RunCurves(
        steps=[p["step"] for p in curves.steps], losses=[p["loss"] for p in curves.steps],
        eval_steps=[p["step"] for p in evals],
        eval_losses=[] if metric.name == "loss" else [p["loss"] for p in evals],
        scores=[p[metric.name] for p in evals], metric=metric)


def budget_points(runs: Runs, metric: Metric, *, groups: Sequence[SeedGroup],
                  datasets: Mapping[str, Dataset | None]) -> list[BudgetPoint]:
    """A point for each arm whose runs have this metric on test rows; with several seeds, their mean and its interval.

    datasets: run id -> its dataset while that is here.
    """
    by_first = {group.ids[0]: group for group in groups}
    inside = {id for group in groups for id in group.ids} - by_first.keys()
    recipes = [run.recipe for run, _ in runs.values() if run.recipe is not None]
    found = []
    for id, (run, result) in runs.items():
        scores = by_first[id].metrics if id in by_first else result.metrics.get("test", {})
        rows = labelled_rows(run, result, datasets.get(id))
        if id in inside or (value := scores.get(metric.name)) is None or rows is None or run.recipe is None:
            continue
        line = arms.line_of(run.recipe, recipes)
        point = Point(name=line, value=value.value, low=value.low, high=value.high, index=arms.index(run.recipe))
        found.append(BudgetPoint(line=line, rows=rows, point=point,
                                 seeds=len(by_first[id].ids) if id in by_first else 1))
    return found


def labelled_rows(run: Run, result: Result, dataset: Dataset | None) -> int | None:
    """Labelled rows that a run used, training and validation together; None where an older run does not say and its
    dataset is gone."""
    if run.recipe is None:
        return None
    if run.recipe.label_budget and run.recipe.budget_counts == "labels":
        return run.recipe.label_budget
    if result.labels_used:
        return sum(result.labels_used.values())
    if dataset is None:
        return run.recipe.label_budget
    there = sum(dataset.rows(split) for split in (Split.TRAIN, Split.VALIDATION))
    return min(there, run.recipe.label_budget or there)


def scores(results: Sequence[Result]) -> list[tuple[str, Metric]]:
    """The split and metric pairs that any of these has; the first metric on test rows always."""
    splits = dict.fromkeys(("test", *(split for result in results for split in result.metrics)))
    found = [(split, metric) for split in splits for metric in METRICS
             if any(metric.name in result.metrics.get(split, {}) for result in results)]
    return found or [("test", METRICS[0])]


def row(name: str, run: Run, result: Result, of: Sequence[tuple[str, Metric]]) -> dict[str, Any]:
    """A run as a line of the table: scores with their intervals in words, then costs as numbers, then validation."""
    cells = {(split, metric): text(result.metrics.get(split, {}).get(metric.name)) for split, metric in of}
    judged = {metric.heading(split): said for (split, metric), said in cells.items() if split != AFTER}
    chosen = {metric.heading(split): said for (split, metric), said in cells.items() if split == AFTER}
    costs = {"Trained": result.trainable_params, "All parameters": result.total_params, "Seconds alone": result.seconds,
             "Seconds added": result.marginal_seconds, "Memory estimated": result.estimated_memory_bytes,
             "Memory measured": result.peak_memory_bytes, "Artifact": result.artifact_bytes}
    return {"Run": name, "State": run.status.value} | judged | costs | chosen | {"Whole name": names.whole(run)}


def text(interval: Interval | None) -> str:
    """A measured value with its interval; a dash for none."""
    return measured(interval.value, interval.low, interval.high) if interval else "–"


def setting(field: str) -> str:
    """What a dotted recipe field is called."""
    try:
        return knob(field).label
    except KeyError:
        return _SETTINGS.get(field, field)


def setting_text(value: Any) -> str:
    """A recipe field's value as people read it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    words = {True: "yes", False: "no"} if isinstance(value, bool) else {None: "all"} if value is None else {}
    return words.get(value) or (f"{value:g}" if isinstance(value, float) else str(value))
