"""Advice for a dataset and a base model: what it rests on, and the experiment that would settle it in the time there
is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import advice
from core.advice import Advice as Advised
from core.advice import Candidate
from core.analysis import predictions
from core.api.data import Data
from core.api.experiments import Experiments
from core.api.models import Models
from core.api.questions import Plan, Questions
from core.api.runs import Runs
from core.domain.dataset import Dataset, Split
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Run, Status
from core.errors import NotFoundError, RecipeError
from core.metrics import Judged
from core.models.methods import FROZEN, REGISTRY
from core.planning import budget as budgets
from core.plots.numbers import size

SEEDS = (5, 3, 2, 1)
"""Of the experiment that would settle it; the first that fits in the time, three before a rival is left out."""
SMALLER = (0.5, 0.25, 0.125)
"""Shares of the labels that are tried where nothing fits with all of them."""
LEAST_LABELS = 8
"""A class: with fewer, two ways of training can hardly be told apart."""


@dataclass(frozen=True, kw_only=True)
class Settling:
    """An experiment that would settle which method."""

    plan: Plan
    fits: bool
    """Whether it ends within the time that was said; where none does it is the shortest."""
    budget: int | None = None
    """Labels that it takes, where only fewer than there are fit the time: what it finds holds for so many."""


class Advice:
    """Advice of a workspace."""

    def __init__(self, *, data: Data, models: Models, runs: Runs, experiments: Experiments, questions: Questions
                 ) -> None:
        self._data = data
        self._models = models
        self._runs = runs
        self._experiments = experiments
        self._questions = questions

    def of(self, ws: str, *, dataset: str, model: str, served: str = advice.ONE, effort: str = "quick",
           budget: int | None = None) -> Advised:
        """Which method to train with. Works before a bundled dataset or model is here. Test rows have no part in it.

        Raises NotFoundError where nothing is known of the dataset or the model, RecipeError where no method is left.
        """
        there, facts = self._data.expected(ws, dataset), self._models.facts(model)
        if there is None or facts is None:
            raise NotFoundError("Nothing is known yet of this dataset or base model.", why="It was never fetched.",
                                remedy="Fetch it on the Train page first.")
        if there.task not in facts.tasks:
            raise RecipeError(f"{facts.id} cannot learn from {there.name}.",
                              why=f"The dataset is for {there.task.value}.", remedy="Choose a base model for that.")
        limit = budgets.limited(budget, train=there.rows(Split.TRAIN), validation=there.rows(Split.VALIDATION))
        judged = self._judged(ws, there, dataset, model, limit)
        situation = advice.of(there, budget=limit, served=served, probe=_probe(judged))
        candidates = [self._candidate(ws, dataset, model, choice.name, choice.label, choice.reason, effort, limit)
                      for choice in self._models.methods(facts, there.task)]
        found = advice.advise(situation, candidates, own=advice.ranked(judged), settings=advice.stored())
        if found is None:
            raise RecipeError("No method is left for this base model.",
                              why="; ".join(f"{each.label}: {each.reason}" for each in candidates if each.reason),
                              remedy="Choose another base model.")
        return found

    def settling(self, ws: str, found: Advised, *, dataset: str, model: str, minutes: float, effort: str = "quick",
                 budget: int | None = None) -> Settling | None:
        """The recommended method against its rivals, with as many seeds and rivals as the time allows, and with fewer
        labels where nothing else does; None where there is no rival."""
        design = "shift" if found.situation.shift and found.situation.task.labelled else "methods"
        plans: list[Plan] = []
        labels, least = found.situation.labels, LEAST_LABELS * max(1, found.situation.classes)
        for fewer in (None, *(round(share * labels) for share in SMALLER if share * labels >= least)):
            asked = fewer or budget
            for rivals, seeds in _ladder(found.rivals):
                plan = self._questions.plan(ws, design, dataset=dataset, models=[model], effort=effort, seeds=seeds,
                                            methods=[found.method, *rivals], budgets=(asked,) if asked else ())
                if plan.seconds is not None and plan.seconds <= 60 * minutes:
                    return Settling(plan=plan, fits=True, budget=fewer)
                if fewer is None:
                    plans.append(plan)
        return Settling(plan=plans[-1], fits=False) if plans else None

    def _candidate(self, ws: str, dataset: str, model: str, method: str, label: str, reason: str | None, effort: str,
                   budget: int | None) -> Candidate:
        if reason is not None:
            return Candidate(method=method, label=label, seconds=None, memory_bytes=None, reason=reason)
        recipe = self._experiments.default_recipe(ws, dataset=dataset, model=model, method=method, effort=effort,
                                                  label_budget=budget)
        found = self._experiments.estimate(ws, recipe)
        if found is not None and found.memory.badge == "will not fit":
            reason = (f"it needs about {size(found.memory.total)} of memory, and a run may take "
                      f"{size(found.memory.available)} here")
        return Candidate(method=method, label=label, reason=reason, seconds=self._experiments.seconds(ws, [recipe]),
                         memory_bytes=found.memory.total if found else None)

    def _judged(self, ws: str, there: Dataset, dataset: str, model: str, budget: int | None
                ) -> dict[str, dict[int, Judged]]:
        """Method -> seed -> validation rows of finished runs on these data; of a method's recipes the one with most
        seeds, of those the newest."""
        by_recipe: dict[Recipe, dict[int, Run]] = {}
        for run in self._runs.all(ws, kind=JobKind.TRAIN):
            recipe = run.recipe
            if (recipe is not None and recipe.method in REGISTRY and run.status is Status.DONE
                    and recipe.base_model == model and recipe.dataset in (there.id, dataset)
                    and recipe.label_budget == budget):
                by_recipe.setdefault(recipe.replace(seed=0), {}).setdefault(recipe.seed, run)
        chosen: dict[str, dict[int, Run]] = {}
        for recipe, seeds in by_recipe.items():
            if len(seeds) > len(chosen.get(recipe.method, {})):
                chosen[recipe.method] = seeds
        found: dict[str, dict[int, Judged]] = {}
        first = None
        for method, seeds in chosen.items():
            for seed, run in seeds.items():
                read = predictions.read(Path(run.folder), Split.VALIDATION)
                if read is not None and read.same_rows(first or read):
                    first = first or read
                    found.setdefault(method, {})[seed] = read.judged
        return found


def _ladder(rivals: Sequence[str]) -> list[tuple[Sequence[str], int]]:
    """Rivals and seeds from the most to the least: five and three seeds with all, three with fewer, then fewer
    seeds."""
    most, fewer = SEEDS[:2], SEEDS[2:]
    found = [(rivals, seeds) for seeds in most]
    found += [(rivals[:count], most[-1]) for count in range(len(rivals) - 1, 0, -1)]
    found += [(rivals[:count], seeds) for seeds in fewer for count in (len(rivals), 1)]
    return [(chosen, seeds) for chosen, seeds in found if chosen]


def _probe(judged: dict[str, dict[int, Judged]]) -> float | None:
    """How a linear probe scored on validation rows: how near the data are to the base model's world."""
    from core import metrics

    seeds = judged.get(FROZEN)
    if not seeds:
        return None
    metric = metrics.primary([each.name for each in metrics.shared(list(seeds.values()))])
    return None if metric is None else sum(metric.value(each) for each in seeds.values()) / len(seeds)
