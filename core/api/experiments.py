"""Experiments: recipes planned, estimated, queued as runs, and their results side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.analysis import comparison
from core.analysis.comparison import Comparison, SeedGroup
from core.api.data import Data
from core.api.desk import Desk
from core.api.models import Models
from core.api.runs import Runs
from core.domain import resolve
from core.domain.dataset import Split
from core.domain.recipe import Recipe
from core.domain.run import JobKind
from core.errors import RecipeError
from core.planning import budget, names
from core.planning import recipes as planning
from core.planning.budget import Budgets
from core.planning.estimate import Estimate
from core.store.experiments import Experiment
from core.store.jobs import NewJob

if TYPE_CHECKING:
    from core.metrics.paired import PairedTest

NAME_CHARACTERS = 120
"""Most characters of an experiment's name."""


def checked_name(name: str) -> str:
    """The name without space around it. Raises RecipeError for none, and for one that is too long to be kept whole."""
    name = name.strip()
    if not name:
        raise RecipeError("The experiment has no name.", remedy="Type at least one character.")
    if len(name) > NAME_CHARACTERS:
        raise RecipeError("The name of the experiment is too long.",
                          why=f"It has {len(name):,} characters; at most {NAME_CHARACTERS} are kept.",
                          remedy="Shorten it.")
    return name


class Experiments:
    """Experiments of a workspace."""

    def __init__(self, desk: Desk, *, data: Data, models: Models, runs: Runs) -> None:
        self._desk = desk
        self._data = data
        self._models = models
        self._runs = runs

    def all(self, ws: str) -> list[Experiment]:
        """Experiments that still have runs, newest first."""
        return self._desk.store.experiments.list(ws)

    def default_recipe(self, ws: str, *, dataset: str, model: str, method: str, effort: str = "normal", seed: int = 0,
                       label_budget: int | None = None) -> Recipe:
        """The recipe that the effort dial gives; works before a bundled dataset or model is here."""
        there = self._data.expected(ws, dataset) or self._data.find_or_entry(ws, dataset)
        return planning.default_recipe(ref=dataset, dataset=there, model=model,
                                       facts=self._models.facts(model), method=method, level=effort, seed=seed,
                                       budget=label_budget, device=self._models.device())

    def estimate(self, ws: str, recipe: Recipe) -> Estimate | None:
        """Memory and time of a recipe, without downloads; None for a model or dataset of which nothing is known yet."""
        facts, dataset = self._models.facts(recipe.base_model), self._data.expected(ws, recipe.dataset)
        if facts is None or dataset is None:
            return None
        return planning.estimate(recipe, facts=facts, device=self._models.device(), dataset=dataset,
                                 slots=self._desk.settings.slots)

    def budgets(self, ws: str, dataset: str, texts: Sequence[str]) -> Budgets:
        """Label budgets as they were typed, for a dataset here or a bundled one: what can be run, and what is wrong."""
        found = self._data.expected(ws, dataset)
        train, validation = (found.rows(split) if found else 0 for split in (Split.TRAIN, Split.VALIDATION))
        return budget.read(texts, train=train, validation=validation, classes=len(found.classes) if found else 0)

    def check_room(self, ws: str, runs: int) -> None:
        """ThawError when so many runs are more than one submission, or the workspace, may queue. Ask before anything is
        planned."""
        self._desk.check_room(ws, runs)

    def submit(self, ws: str, recipes: Sequence[Recipe], *, name: str) -> list[str]:
        """Queue one run a recipe as one experiment, in this order; all are checked first, then all are queued or none.

        What recipes leave to the device is decided now, the same for all; by the worker of the first run where no
        device is measured yet.
        """
        if not recipes:
            raise RecipeError("There is nothing to run.", remedy="Choose at least one method.")
        name = checked_name(name)
        self._desk.check_room(ws, len(recipes))
        for recipe in recipes:
            self._runs.check(ws, recipe)
        device = self._models.device()
        recipes = [resolve.resolved(recipe, device) for recipe in recipes]
        experiment = self._desk.store.experiments.create(ws, name)
        folder = self._desk.runs_folder(ws)
        return self._desk.submit(ws, [
            NewJob(workspace=ws, kind=JobKind.TRAIN, name=names.of_recipe(recipe), recipe=recipe, experiment=experiment,
                   runs_folder=folder)
            for recipe in recipes])

    def compare_bundled(self, ws: str, *, dataset: str, model: str, methods: Sequence[str], effort: str = "quick",
                        seeds: int = 1, budgets: Sequence[int | None] = (None,)) -> list[str]:
        """Methods x seeds x label budgets on a bundled set, from an empty data folder: the first run fetches what is
        missing."""
        self._desk.check_room(ws, len(methods) * seeds * len(budgets))
        recipes = self.bundled_recipes(ws, dataset=dataset, model=model, methods=methods, effort=effort, seeds=seeds,
                                       budgets=budgets)
        titles = {e.id: e.name for e in self._data.bundled()} | {e.id: e.name for e in self._models.bundled()}
        title = f"{titles.get(dataset, dataset)}, {titles.get(model, model).split(' (')[0]}"[:NAME_CHARACTERS]
        return self.submit(ws, recipes, name=title)

    def bundled_recipes(self, ws: str, *, dataset: str, model: str, methods: Sequence[str], effort: str = "quick",
                        seeds: int = 1, budgets: Sequence[int | None] = (None,)) -> list[Recipe]:
        """What `compare_bundled` would queue: the methods that apply to the model, in this order."""
        facts = self._models.facts(model)
        if facts is not None:
            reasons = {choice.name: choice.reason for choice in self._models.methods(facts)}
            methods = [method for method in methods if not reasons.get(method)]
        return [self.default_recipe(ws, dataset=dataset, model=model, method=method, effort=effort, seed=seed,
                                    label_budget=budget)
                for budget in budgets for seed in range(seeds) for method in methods]

    def seconds(self, ws: str, recipes: Sequence[Recipe]) -> float | None:
        """Estimated seconds of runs one after another, without downloads; None while this machine is not measured."""
        found = [self.estimate(ws, recipe) for recipe in recipes]
        if self._models.device() is None or None in found:
            return None
        return sum(estimate.seconds for estimate in found if estimate is not None)

    def compare(self, ws: str, ids: Sequence[str]) -> Comparison:
        """Runs side by side, in this order."""
        runs = [self._runs.get(ws, id) for id in dict.fromkeys(ids)]
        return comparison.build(runs, names=names.short(runs),
                                results={run.id: self._runs.result(ws, run.id, complete=True) for run in runs},
                                curves={run.id: self._runs.curves(ws, run.id) for run in runs})

    def paired(self, ws: str, a: str, b: str, *, split: str = "test", metric: str | None = None,
               called: tuple[str, str] | None = None) -> PairedTest:
        """Two runs on the same rows, by the metric that decides or that of this name; ThawError saying why when that
        cannot be.

        called: what the sentence calls them; their short names unless it is said.
        """
        first, second = self._runs.get(ws, a), self._runs.get(ws, b)
        results = (self._runs.result_of(first), self._runs.result_of(second))
        two = names.short([first, second])
        return comparison.paired(first, second, names=called or (two[a], two[b]), results=results, split=split,
                                 metric=metric)

    def seed_groups(self, ws: str, ids: Sequence[str]) -> tuple[SeedGroup, ...]:
        """Arms among these runs with several seeds, each as one measurement; empty when every arm has one seed."""
        runs = [self._runs.get(ws, id) for id in ids]
        return comparison.seed_groups(runs, results={run.id: self._runs.result_of(run) for run in runs})
