"""Runs as points over the labelled rows that they used: seeds of one arm as one point."""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.run import Result, Run
from core.metrics import Metric
from core.plots.budgets import BudgetPoint
from core.plots.intervals import Point
from pages._ui import arms, shell
from pages._ui.compare import table

Runs = Mapping[str, tuple[Run, Result]]


def points(ws: str, runs: Runs, metric: Metric) -> list[BudgetPoint]:
    """A point for each arm whose runs have this metric on test rows; with several seeds, their mean and its
    interval."""
    groups = {group.ids[0]: group for group in table.seed_groups(ws, runs)}
    inside = {id for group in groups.values() for id in group.ids} - groups.keys()
    recipes = [run.recipe for run, _ in runs.values() if run.recipe is not None]
    found = []
    for id, (run, result) in runs.items():
        measured = groups[id].metrics.get(metric.name) if id in groups else result.metrics.get("test", {}).get(
            metric.name)
        rows = labelled_rows(ws, run, result)
        if id in inside or measured is None or rows is None or run.recipe is None:
            continue
        line = arms.line_of(run.recipe, recipes)
        point = Point(name=line, value=measured.value, low=measured.low, high=measured.high,
                      index=arms.index(run.recipe))
        found.append(BudgetPoint(line=line, rows=rows, point=point,
                                 seeds=len(groups[id].ids) if id in groups else 1))
    return found


def labelled_rows(ws: str, run: Run, result: Result) -> int | None:
    """Labelled rows that a run used, training and validation together; None where an older run does not say and its
    dataset is gone."""
    if run.recipe is None:
        return None
    if run.recipe.label_budget and run.recipe.budget_counts == "labels":
        return run.recipe.label_budget
    if result.labels_used:
        return sum(result.labels_used.values())
    dataset = shell.api().data.find(ws, run.recipe.dataset)
    if dataset is None:
        return run.recipe.label_budget
    there = sum(dataset.rows(split) for split in ("train", "validation"))
    return min(there, run.recipe.label_budget or there)
