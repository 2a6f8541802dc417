"""Methods, recipes, runs and their comparison."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core import files, values
from core.analysis import comparison as comparisons
from core.analysis import curves as curve_points
from core.analysis import damage
from core.analysis.comparison import Comparison, SeedGroup
from core.analysis.curves import Curves
from core.analysis.progress import Progress
from core.api.data import Data
from core.domain import resolve
from core.domain.dataset import Dataset
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Result, Run, Status
from core.errors import RecipeError, ThawError
from core.models import origin
from core.planning import recipes as planning
from core.planning.estimate import Estimate
from core.planning.recipes import MethodChoice
from core.store.experiments import Experiment
from core.store.jobs import NewJob
from core.unforeseen import is_disk_full

if TYPE_CHECKING:
    from core.metrics.paired import PairedTest

log = logging.getLogger("thaw.api")

LOG_BYTES = 1_000_000
"""The end of a log that is shown."""

class Runs(Data):
    """Runs of a workspace: planned, submitted, watched, compared."""

    def methods(self, facts: ModelFacts) -> list[MethodChoice]:
        """All methods, each with the reason where it does not apply to this model on this device."""
        return planning.choices(facts, self.device())

    def default_recipe(self, ws: str, *, dataset: str, model: str, method: str, effort: str = "normal", seed: int = 0,
                       label_budget: int | None = None) -> Recipe:
        """The recipe that the effort dial gives; works before a bundled dataset or model is here."""
        return planning.default_recipe(ref=dataset, dataset=self._any_dataset(ws, dataset), model=model, facts=self.model_facts(model),
                                       method=method, level=effort, seed=seed, budget=label_budget, device=self.device())

    def estimate(self, ws: str, recipe: Recipe) -> Estimate | None:
        """Memory and time of a recipe; None until its model is inspected and its dataset is here."""
        facts, dataset = self.model_facts(recipe.base_model), self.dataset(ws, recipe.dataset)
        if facts is None or dataset is None:
            return None
        return planning.estimate(recipe, facts=facts, device=self.device(), dataset=dataset, slots=self.settings.slots)

    def submit(self, ws: str, recipes: Sequence[Recipe], *, name: str) -> list[str]:
        """Queue one run a recipe as one experiment, in this order; all are checked first, then all are queued or none.

        What recipes leave to the device is decided now, the same for all; by the worker of the first run where no device is measured yet.
        """
        if not recipes:
            raise RecipeError("There is nothing to run.", remedy="Choose at least one method.")
        self.check_room(ws, len(recipes))
        for recipe in recipes:
            self._check(ws, recipe)
        device = self.device()
        recipes = [resolve.resolved(recipe, device) for recipe in recipes]
        experiment = self._store.experiments.create(ws, name)
        return self._submit(ws, [
            NewJob(workspace=ws, kind=JobKind.TRAIN, name=title, recipe=recipe, experiment=experiment, runs_folder=self._runs_folder(ws))
            for title, recipe in zip(planning.names(name, recipes), recipes, strict=True)])

    def compare_bundled(self, ws: str, *, dataset: str, model: str, methods: Sequence[str], effort: str = "quick", seeds: int = 1,
                        budgets: Sequence[int | None] = (None,)) -> list[str]:
        """Methods x seeds x label budgets on a bundled set, from an empty data folder: the first run fetches what is missing."""
        self.check_room(ws, len(methods) * seeds * len(budgets))
        facts = self.model_facts(model)
        if facts is not None:
            reasons = {choice.name: choice.reason for choice in self.methods(facts)}
            methods = [method for method in methods if not reasons.get(method)]
        recipes = [self.default_recipe(ws, dataset=dataset, model=model, method=method, effort=effort, seed=seed, label_budget=budget)
                   for budget in budgets for seed in range(seeds) for method in methods]
        titles = {entry.id: entry.name for entry in self.bundled_datasets()} | {entry.id: entry.name for entry in self.bundled_models()}
        title = f"{titles.get(dataset, dataset)}, {titles.get(model, model).split(' (')[0]}"
        return self.submit(ws, recipes, name=title)

    def experiments(self, ws: str) -> list[Experiment]:
        """Experiments that still have runs, newest first."""
        return self._store.experiments.list(ws)

    def progress(self, ws: str, id: str, *, after: int = 0) -> Progress:
        """The run as it is now and its events numbered above `after`. A few milliseconds: made for polling."""
        run = self.run(ws, id)  # read before the events: when it says "done", all of them are there
        events = self._store.events.after(id, after)
        return Progress(run=run, events=events, last_seq=events[-1].seq if events else after)

    def curves(self, ws: str, id: str) -> Curves:
        """Learning curves of the whole run, at most 1000 points each."""
        self.run(ws, id)
        return curve_points.from_events(self._store.events.after(id, 0, kinds=("step", "eval")))

    def result(self, ws: str, id: str) -> Result | None:
        """What a run measured; None while it has not ended or when it ended without a result."""
        return self._result(self.run(ws, id))

    def stop(self, ws: str, id: str) -> Status:
        """Ask a run to stop: its best checkpoint is kept and judged. Asking again ends it without waiting. Returns its state."""
        return self._store.queue.ask_stop(ws, id)

    def resume(self, ws: str, id: str) -> None:
        """Queue a run again that was stopped, failed or interrupted; its recipe stays, it goes on from its last checkpoint."""
        run = self.run(ws, id)
        if run.damage:
            raise ThawError(f"{run.name} cannot be resumed.", why=run.failure.why if run.failure else "",
                            remedy="Delete it, and start a new run.")
        if run.recipe is not None:
            self._check(ws, run.recipe)
            origin.of(Path(run.folder)).check_model(run.recipe.base_model, self.settings)
        if not self._store.queue.resume(ws, id, most=self.settings.max_queued):
            raise ThawError(f"{run.name} cannot be resumed.", why=f"Its state is {self.run(ws, id).status}.",
                            remedy="Fork it to run its recipe once more.")

    def fork(self, ws: str, id: str, recipe: Recipe) -> str:
        """A new run from an edited recipe, in the same experiment, with the old run as its parent. Returns its id."""
        self.check_room(ws, 1)
        parent = self.run(ws, id)
        self._check(ws, recipe)
        recipe = resolve.resolved(recipe, self.device())
        name = planning.names(parent.name.split(" · ")[0], [recipe])[0]
        return self._submit(ws, [NewJob(workspace=ws, kind=JobKind.TRAIN, name=f"{name} (fork)", recipe=recipe, parent=parent.id,
                                        experiment=parent.experiment, runs_folder=self._runs_folder(ws))])[0]

    def rename(self, ws: str, id: str, name: str) -> None:
        if not name.strip():
            raise RecipeError("A run needs a name.", remedy="Type at least one character.")
        self._store.jobs.rename(ws, id, name.strip()[:200])

    def delete(self, ws: str, id: str) -> None:
        """Delete a run that is not being worked on: row, events and folder. On a full disk the folder goes first, to make room."""
        try:
            files.remove_folder(self._store.jobs.delete(ws, id))
        except Exception as error:
            if not is_disk_full(error):
                raise
            log.warning("The disk is full; deleting the folder of run %s first", id)
            files.remove_folder(self._store.jobs.deletable(ws, id))
            self._store.jobs.delete(ws, id)

    def damage(self, ws: str, id: str) -> dict[str, str]:
        """Files of a run that are there and cannot be read: name -> why. Empty while it is worked on, when files come and go."""
        run = self.run(ws, id)
        return damage.of_run(Path(run.folder)) if run.status.final else {}

    def log(self, ws: str, id: str) -> str:
        """The end of the run's log (up to 1 MB), tracebacks included; empty when there is none."""
        path = Path(self.run(ws, id).folder) / "log.txt"
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", errors="replace")

    def comparison(self, ws: str, ids: Sequence[str]) -> Comparison:
        """Runs side by side, in this order."""
        runs = [self.run(ws, id) for id in dict.fromkeys(ids)]
        return comparisons.build(runs, results={run.id: self._result(run) for run in runs},
                                 curves={run.id: self.curves(ws, run.id) for run in runs})

    def paired(self, ws: str, a: str, b: str, *, split: str = "test") -> PairedTest:
        """Two runs on the same rows; ThawError saying why when the rows are not the same."""
        first, second = self.run(ws, a), self.run(ws, b)
        return comparisons.paired(first, second, results=(self._result(first), self._result(second)), split=split)

    def seed_groups(self, ws: str, ids: Sequence[str]) -> tuple[SeedGroup, ...]:
        """Arms among these runs with several seeds, each as one measurement; empty when every arm has one seed."""
        runs = [self.run(ws, id) for id in ids]
        return comparisons.seed_groups(runs, results={run.id: self._result(run) for run in runs})

    def _result(self, run: Run) -> Result | None:
        return values.read(Path(run.folder) / "result.json", Result) if run.status.final else None

    def _dataset_of(self, ws: str, id: str) -> Dataset:
        return self._dataset(ws, comparisons.recipe_of(self.run(ws, id)).dataset)

    def _check(self, ws: str, recipe: Recipe) -> None:
        planning.check(recipe, facts=self.model_facts(recipe.base_model), device=self.device(),
                       task=self._any_dataset(ws, recipe.dataset).task, settings=self.settings)
