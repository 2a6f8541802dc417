"""Runs as points over the labelled rows that they used: seeds of one arm as one point."""

from __future__ import annotations

from core.metrics import Metric
from core.plots.budgets import BudgetPoint
from core.share import results
from pages._ui import shell
from pages._ui.compare import table


def points(ws: str, runs: results.Runs, metric: Metric) -> list[BudgetPoint]:
    """A point for each arm whose runs have this metric on test rows."""
    find = shell.api().data.find
    datasets = {id: find(ws, run.recipe.dataset) if run.recipe else None for id, (run, _) in runs.items()}
    return results.budget_points(runs, metric, groups=table.seed_groups(ws, runs), datasets=datasets)
