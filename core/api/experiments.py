"""Experiments: recipes planned, estimated, queued as runs, acted on together, and their results side by side."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core import files
from core.analysis import comparison, race
from core.analysis.comparison import Comparison, SeedGroup
from core.analysis.sample import DEFAULT_ROWS
from core.api import outlook
from core.api.data import Data
from core.api.desk import Desk
from core.api.models import Models
from core.api.runs import Runs
from core.domain import resolve
from core.domain.dataset import Split
from core.domain.experiment import Experiment as Asked
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Run, Status, train_payload
from core.errors import FailureKind, RecipeError, ThawError
from core.metrics import Metric, primary
from core.models import origin
from core.planning import budget, names, trackers
from core.planning import estimate as estimates
from core.planning import recipes as planning
from core.planning.budget import Budgets
from core.planning.estimate import Estimate
from core.planning.schedule import Outlook
from core.store.experiments import Experiment
from core.store.jobs import NewJob
from core.unforeseen import is_disk_full

if TYPE_CHECKING:
    from core.metrics.paired import PairedTest

log = logging.getLogger("thaw.api")

UNDO_S = 10.0
"""So long a start can be undone."""
UNDO_GRACE_S = 5.0
"""What a click within that time may take to arrive."""
KNOWN_SECONDS = 4096
"""Estimates that are kept."""
_known_seconds: dict[object, float] = {}
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


@dataclass(frozen=True, kw_only=True)
class Race:
    """Runs of one experiment while they train."""

    metric: Metric
    """On validation rows."""
    lanes: tuple[race.Lane, ...]
    behind: tuple[race.Behind, ...]


class Experiments:
    """Experiments of a workspace."""

    def __init__(self, desk: Desk, *, data: Data, models: Models, runs: Runs) -> None:
        self._desk = desk
        self._data = data
        self._models = models
        self._runs = runs

    def all(self, ws: str) -> list[Experiment]:
        """Experiments that still have runs, newest first."""
        return list(self._desk.store.experiments.list(ws))

    def get(self, ws: str, id: str) -> Experiment:
        """One experiment; NotFoundError when the workspace has none of that id, or none of its runs is left."""
        return self._desk.store.experiments.get(ws, id)

    def runs(self, ws: str, id: str) -> list[Run]:
        """The runs of an experiment as they are now, in the order in which they were submitted. One query: made for
        polling."""
        return self._desk.store.jobs.list(ws, kind=JobKind.TRAIN, experiment=id)[::-1]

    def taken(self, ws: str, id: str) -> list[Run]:
        """Runs of other experiments that take part in its question, those of them that are still there."""
        asked = self.get(ws, id).asked
        there = {run.id: run for run in self._runs.all(ws, kind=JobKind.TRAIN)} if asked and asked.taken else {}
        return [there[run] for run in (asked.taken if asked else ()) if run in there]

    def ran_before(self, ws: str, recipes: Sequence[Recipe]) -> list[Run | None]:
        """For each recipe the newest run of the workspace that is done with this very recipe (seed, data, and what is
        left to the device decided alike) on the base model as it is here now; None where there is none."""
        device = self._models.device()
        wanted = [resolve.resolved(recipe, device).digest() for recipe in recipes]
        alike = {(recipe.dataset, recipe.base_model, recipe.method) for recipe in recipes}
        done: dict[str, Run] = {}
        for run in self._runs.all(ws, kind=JobKind.TRAIN):  # the newest first
            if run.recipe is None or run.status is not Status.DONE or run.imported:
                continue
            if (run.recipe.dataset, run.recipe.base_model, run.recipe.method) not in alike:
                continue
            digest = run.recipe.digest()
            if (digest in wanted and digest not in done and self._runs.has_result(run)
                    and self._as_it_was(run, run.recipe)):
                done[digest] = run
        return [done.get(digest) for digest in wanted]

    def _as_it_was(self, run: Run, recipe: Recipe) -> bool:
        """Whether its base model is the one that it was trained on."""
        try:
            origin.of(Path(run.folder)).check_model(recipe.base_model, self._desk.settings)
        except ThawError:
            return False
        return True

    def outlook(self, ws: str, runs: Sequence[Run]) -> Outlook:
        """When these runs start and end, and how long it takes until all have: from their estimates, corrected by the
        runs of their experiments that are done, the pace of what is under way and everybody's place in the queue."""
        open_in = {run.experiment for run in runs if not run.status.final and run.experiment is not None}
        factors: dict[str | None, float] = {id: self._correction(ws, id) for id in open_in}
        return outlook.of_runs(self._desk, runs, factors, self._seconds)

    def _correction(self, ws: str, id: str) -> float:
        done = [(run, result) for run in self.runs(ws, id) if (result := self._runs.result_of(run)) is not None]
        return outlook.correction(done, self._seconds)

    def _seconds(self, ws: str, recipe: Recipe, features: bool) -> float | None:
        """Estimated seconds of a recipe, with its features or without; kept once they are known."""
        device = self._models.device()
        key = (str(self._desk.settings.home), ws, recipe, features, device.measured if device else None)
        if key not in _known_seconds:
            found = self._with_features(ws, recipe) if features else self._without_features(ws, recipe)
            if found is None:
                return None
            while len(_known_seconds) >= KNOWN_SECONDS:
                _known_seconds.pop(next(iter(_known_seconds)))
            _known_seconds[key] = found
        return _known_seconds[key]

    def race(self, ws: str, runs: Sequence[Run]) -> Race | None:
        """Where runs that trained stand while one of them trains, and which of them are far behind; None where there
        is no race: fewer than two that were evaluated, or none under way."""
        drawn = {run.id: self._runs.curves(ws, run.id) for run in runs if run.started is not None}
        metric = primary(name for found in drawn.values() for point in found.evals for name in point)
        if metric is None:
            return None
        lanes = [race.lane(run.id, drawn[run.id], metric, rows=self._validation_rows(ws, run),
                           under_way=run.status is Status.RUNNING or (run.in_turns and run.status is Status.QUEUED))
                 for run in runs if run.id in drawn]
        lanes = [lane for lane in lanes if lane.shares]
        if len(lanes) < 2 or not any(lane.under_way for lane in lanes):
            return None
        return Race(metric=metric, lanes=tuple(lanes), behind=tuple(race.behind(lanes, metric)))

    def _validation_rows(self, ws: str, run: Run) -> int:
        dataset = self._data.find(ws, run.recipe.dataset) if run.recipe else None
        return budget.of_dataset(run.recipe, dataset)[1] if run.recipe and dataset else 0

    def stop(self, ws: str, id: str) -> int:
        """Ask all its runs that wait or are worked on to stop, in one step: those under way keep and judge their best
        checkpoint. Returns how many were asked."""
        self.get(ws, id)
        return self._desk.store.queue.ask_stop_all(ws, id)

    def pause(self, ws: str, id: str) -> int:
        """Take its runs that wait out of the queue, in one step, so that none of them starts; what is under way goes on
        to its end, and `resume` queues the others again. Returns how many were waiting."""
        self.get(ws, id)
        return self._desk.store.queue.ask_stop_all(ws, id, waiting_only=True)

    def resume(self, ws: str, id: str) -> dict[str, ThawError]:
        """Queue every run again that was stopped or interrupted, or failed of what may be gone by now. Returns the
        error of each that could not be."""
        self.get(ws, id)
        refused: dict[str, ThawError] = {}
        for run in self.runs(ws, id):
            if run.worth_resuming:
                try:
                    self._runs.resume(ws, run.id)
                except ThawError as error:
                    refused[run.id] = error
        return refused

    def rename(self, ws: str, id: str, name: str) -> None:
        """A new name for the experiment, which every page reads whenever it shows it."""
        name = checked_name(name)
        if any(run.imported for run in self.runs(ws, id)):
            raise ThawError("This experiment cannot be renamed.", kind=FailureKind.DATA,
                            why="It came with an archive, which stays as it is.",
                            remedy="Duplicate it with changes to start one of your own.")
        self._desk.store.experiments.rename(ws, id, name)

    def delete(self, ws: str, id: str) -> int:
        """Delete all its runs with their folders; those that are worked on end at once. Returns how many they were."""
        self.get(ws, id)
        return self._remove(ws, id)

    def undo(self, ws: str, id: str) -> int:
        """Take the latest start back: the runs that were queued together last vanish, whether one has begun or not.
        ThawError when that was too long ago. Returns how many they were."""
        self.get(ws, id)
        removed = self._remove(ws, id, started_since=time.time() - UNDO_S - UNDO_GRACE_S)
        if not removed:
            raise ThawError("The start cannot be undone any more.", why=f"That can be done for {UNDO_S:.0f} seconds.",
                            remedy="Stop the runs, or delete the experiment.", kind=FailureKind.DATA)
        return removed

    def undo_left_s(self, runs: Sequence[Run]) -> float:
        """For how many seconds the latest start among these runs of one experiment can still be undone; 0: no more."""
        newest = max((run.created for run in runs), default=0.0)
        return max(0.0, newest + UNDO_S - time.time())

    def _remove(self, ws: str, id: str, *, started_since: float | None = None) -> int:
        """Rows first, so that nothing shows or starts what is going; on a full disk folders first, to make room."""
        experiments = self._desk.store.experiments
        try:
            folders = experiments.remove(ws, id, started_since=started_since)
        except Exception as error:
            if not is_disk_full(error):
                raise
            log.warning("The disk is full; deleting the folders of the experiment %s first", id)
            for run in self.runs(ws, id):
                if run.status.final and started_since is None:
                    files.remove_folder(Path(run.folder))
            folders = experiments.remove(ws, id, started_since=started_since)
        for folder in folders:
            files.remove_folder(folder)
        return len(folders)

    def default_recipe(self, ws: str, *, dataset: str, model: str, method: str, effort: str = "normal", seed: int = 0,
                       label_budget: int | None = None) -> Recipe:
        """The recipe that the effort dial gives; works before a bundled dataset or model is here."""
        there = self._data.expected(ws, dataset) or self._data.find_or_entry(ws, dataset)
        return planning.default_recipe(ref=dataset, dataset=there, model=model,
                                       facts=self._models.facts(model), method=method, level=effort, seed=seed,
                                       budget=label_budget, device=self._models.device())

    def estimate(self, ws: str, recipe: Recipe) -> Estimate | None:
        """Memory and time of a recipe, without downloads; None for a model or dataset of which nothing is known yet."""
        return self._estimate(ws, recipe)

    def _estimate(self, ws: str, recipe: Recipe) -> Estimate | None:
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

    def submit(self, ws: str, recipes: Sequence[Recipe], *, name: str, asked: Asked | None = None,
               in_turns: bool = False, features: bool = True) -> list[str]:
        """Queue one run a recipe as one experiment, in this order; all are checked first, then all are queued or none.

        What recipes leave to the device is decided now, the same for all; by the worker of the first run where no
        device is measured yet. asked: the question, where a design laid them out. in_turns: they race, each as far as
        the next rung (`core.analysis.race.RUNGS`) before the next one's turn. features: they make and compare their
        features at once, not only when asked to.
        """
        if not recipes:
            raise RecipeError("There is nothing to run.", remedy="Choose at least one method.")
        name = checked_name(name)
        trackers.check(self._desk.settings)
        self._desk.check_room(ws, len(recipes))
        for recipe in recipes:
            self._runs.check(ws, recipe)
        device = self._models.device()
        recipes = [resolve.resolved(recipe, device) for recipe in recipes]
        experiment = self._desk.store.experiments.create(ws, name, asked=asked)
        folder = self._desk.runs_folder(ws)
        payload = train_payload(in_turns=in_turns, features=features)
        return self._desk.submit(ws, [
            NewJob(workspace=ws, kind=JobKind.TRAIN, name=names.of_recipe(recipe), recipe=recipe, experiment=experiment,
                   runs_folder=folder, payload=payload)
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
            task = self._data.find_or_entry(ws, dataset).task
            reasons = {choice.name: choice.reason for choice in self._models.methods(facts, task)}
            methods = [method for method in methods if not reasons.get(method)]
        return [self.default_recipe(ws, dataset=dataset, model=model, method=method, effort=effort, seed=seed,
                                    label_budget=budget)
                for budget in budgets for seed in range(seeds) for method in methods]

    def seconds(self, ws: str, recipes: Sequence[Recipe], *, features: bool = True) -> float | None:
        """Estimated seconds of runs one after another, with their features where these are made at once (and the
        settings do not say otherwise), without downloads; None where nothing is known of a model or a dataset."""
        found = [self._seconds(ws, recipe, features) for recipe in recipes]
        return None if None in found else sum(seconds for seconds in found if seconds is not None)

    def _without_features(self, ws: str, recipe: Recipe) -> float | None:
        found = self._estimate(ws, recipe)
        return None if found is None else found.seconds

    def _with_features(self, ws: str, recipe: Recipe) -> float | None:
        found, facts = self._estimate(ws, recipe), self._models.facts(recipe.base_model)
        dataset = self._data.expected(ws, recipe.dataset)
        if found is None or facts is None or dataset is None:
            return None
        if not self._desk.settings.features:
            return found.seconds
        rows = min(DEFAULT_ROWS, sum(dataset.rows(split) for split in (Split.TEST, Split.VALIDATION, Split.SHIFT)))
        return found.seconds + estimates.features_seconds(
            recipe, facts=facts, device=self._models.device(), rows=rows, mean_length=dataset.mean_length, sides=1,
            in_run=True)

    def compare(self, ws: str, ids: Sequence[str], *, rows_only: bool = False) -> Comparison:
        """Runs side by side, in this order. rows_only: without curves and confusion tables, which are read from files
        of each run: ask for those that are looked at."""
        runs = self._desk.some(ws, ids)
        return comparison.build(runs, names=names.short(runs), confused=not rows_only,
                                results={run.id: self._runs.completed(run) for run in runs},
                                curves={} if rows_only else {run.id: self._runs.curves(ws, run.id) for run in runs})

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
        runs = self._desk.some(ws, ids)
        return comparison.seed_groups(runs, results={run.id: self._runs.result_of(run) for run in runs})
