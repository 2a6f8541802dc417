"""Questions: designs laid out, started as one experiment, and answered from its runs; for pages and commands alike."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import values
from core.analysis import experiment as analysis
from core.analysis import experiment_card, predictions
from core.analysis.experiment_card import Card
from core.api.data import Data
from core.api.desk import Desk
from core.api.experiments import Experiments, checked_name
from core.api.models import Models
from core.domain import codec, resolve
from core.domain.experiment import Answer, Experiment, Planned
from core.domain.recipe import Recipe
from core.domain.run import Result, Run
from core.errors import NotFoundError, RecipeError
from core.metrics import Judged
from core.planning import designs
from core.planning.designs import Choices, Design
from core.planning.designs.base import expanded, rates_of
from core.planning.designs.base import experiment as laid_out
from core.planning.designs.found import Found
from core.plots.theme import Chart

Folders = Mapping[tuple[str, float, int], Path]
"""Arm, rate and seed -> the folder of that run."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an experiment will be."""

    design: Design
    experiment: Experiment
    runs: tuple[Planned, ...]
    seconds: float | None
    """One after another, without downloads; None where nothing is known of the device."""
    memory_bytes: int
    """Of the run that needs most; 0 where nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What runs of an experiment say."""

    found: Found | None = None
    """None before a run has test predictions; so are the answer and the card."""
    answer: Answer | None = None
    card: Card | None = None
    """What its comparisons support saying."""
    design: Design
    document: dict[str, Any]

    @functools.cached_property
    def charts(self) -> Sequence[Chart]:
        """What the design draws of it, made once."""
        return self.design.charts(self.found) if self.found is not None else ()


@dataclass(frozen=True, kw_only=True)
class Question:
    """An experiment of a design, as far as its runs are done."""

    design: Design
    experiment: Experiment
    planned: int
    done: int
    reading: Reading

    @property
    def found(self) -> Found | None:
        return self.reading.found

    @property
    def answer(self) -> Answer | None:
        return self.reading.answer

    @property
    def card(self) -> Card | None:
        return self.reading.card

    @property
    def charts(self) -> Sequence[Chart]:
        """What the design draws of it; read-only."""
        return self.reading.charts

    @property
    def document(self) -> dict[str, Any]:
        return self.reading.document


def read(design: Design, experiment: Experiment, folders: Folders) -> Reading:
    """What these runs found, and the same as one JSON document."""
    arms, rows, rates, measured, made = [], {}, {}, {}, ""
    for arm in experiment.arms:
        by_rate: dict[float, dict[str, dict[int, Judged]]] = {}
        results: dict[float, dict[int, Result]] = {}
        for rate in rates_of(arm, experiment.rates):
            own = {seed: folder for seed in experiment.seeds
                   if (folder := folders.get((arm.name, rate, seed))) is not None}
            by_rate[rate] = analysis.rows(own)
            results[rate] = {seed: result for seed, folder in own.items()
                             if (result := values.read(folder / "result.json", Result)) is not None}
            made = next((result.shift_made for result in results[rate].values() if result.shift_made), made)
        chosen = analysis.chosen_rate(by_rate)
        rows[arm.name], rates[arm.name], measured[arm.name] = by_rate[chosen], chosen, results[chosen]
        scores = {rate: analysis.validation_score(splits) for rate, splits in by_rate.items()}
        arms.append(analysis.arm_document(arm, experiment, rows=by_rate[chosen], rate=chosen,
                                          results=list(results[chosen].values()), rates=scores))
    metric = design.decides([each.name for each in analysis.deciding(rows)])
    report: dict[str, Any] = {"design": design.name, "question": design.question, "paper": design.paper,
                              "seeds": list(experiment.seeds), "runs": experiment.runs, "arms": arms,
                              "metric": metric and metric.name, "comparisons": [], "card": None, "shift_made": made}
    if metric is None:
        nothing = Answer(sentence="No run has test predictions, so that there is no answer.")
        return Reading(design=design, document=report | {"answer": codec.to_json(nothing)})
    found = Found(experiment=experiment, metric=metric, rows=rows, rates=rates, pairs=design.pairs(experiment.arms),
                  shift_made=made)
    answer = design.answer(found)
    card = experiment_card.of(metric=metric, rows=rows, results=measured, test=found.compared,
                              shift=found.compared_on("shift"), shift_made=made,
                              labels={arm.name: arm.label for arm in experiment.arms})
    report["comparisons"] = [{**codec.to_json(each), "metric": metric.name} for each in found.compared]
    return Reading(design=design, found=found, answer=answer, card=card,
                   document=report | {"card": codec.to_json(card), "answer": codec.to_json(answer)})


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What is read, under the key of what lies on disk."""

    key: tuple[object, ...]
    design: Design = field(compare=False)
    experiment: Experiment = field(compare=False)
    folders: Folders = field(compare=False)


@functools.lru_cache(maxsize=8)
def _read_once(kept: _Kept) -> Reading:
    """A page is drawn again at every click; its runs are read and pooled when one of them has ended, or changed."""
    return read(kept.design, kept.experiment, kept.folders)


def _on_disk(folders: Folders) -> tuple[object, ...]:
    """Times and sizes of every file that `read` reads."""
    found = []
    for key, folder in folders.items():
        for path in (folder / "result.json", *(predictions.path(folder, split) for split in analysis.SPLITS)):
            try:
                stat = path.stat()
            except OSError:
                continue
            found.append((key, str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


class Questions:
    """Designs of a workspace."""

    def __init__(self, desk: Desk, *, data: Data, models: Models, experiments: Experiments) -> None:
        self._desk = desk
        self._data = data
        self._models = models
        self._experiments = experiments

    def plan(self, ws: str, design: str, *, dataset: str, models: Sequence[str], methods: Sequence[str] = (),
             budgets: Sequence[int | None] = (), rates: Sequence[float] = (), depths: Sequence[int] = (),
             updates: int | None = None, effort: str = "quick", seeds: int | Sequence[int] = 0) -> Plan:
        """Lay out a design; works before a bundled dataset or model is here.

        seeds: how many, from 0 on, or which; 0 = the design's own. Raises RecipeError where the design does not fit,
        NotFoundError for a dataset or model of which nothing is known yet.
        """
        chosen = designs.get(design)
        there = self._data.expected(ws, dataset)
        facts = [self._models.facts(model) for model in models]
        if there is None or None in facts or not facts:
            raise NotFoundError("Nothing is known yet of this dataset or base model.",
                                why="It was never fetched.", remedy="Fetch it on the Train page first.")
        device = self._models.device()
        choices = Choices(dataset=dataclasses.replace(there, id=dataset), methods=tuple(methods),
                          models=tuple(each for each in facts if each is not None), budgets=tuple(budgets),
                          rates=tuple(rates), depths=tuple(depths), updates=updates, effort=effort, device=device)
        for known in choices.models:
            if there.task not in known.tasks:
                raise RecipeError(f"{known.id} cannot learn from {there.name}.",
                                  why=f"The dataset is for {there.task.value}.",
                                  remedy="Choose a base model for that.")
        found = laid_out(chosen, choices, seeds=range(seeds) if isinstance(seeds, int) else seeds)
        runs = expanded(found)
        recipes = [each.recipe for each in runs]
        memory = [estimate.memory.total for recipe in recipes
                  if (estimate := self._experiments.estimate(ws, recipe)) is not None]
        return Plan(design=chosen, experiment=found, runs=tuple(runs), seconds=self._experiments.seconds(ws, recipes),
                    memory_bytes=max(memory, default=0))

    def start(self, ws: str, plan: Plan, *, name: str, in_turns: bool = False,
              features: bool = True, before: Sequence[Run | None] = ()) -> list[str]:
        """Queue its runs as one experiment, which may race; all are checked first, then all are queued or none.

        features: see `Experiments.submit`.
        before: what `Experiments.ran_before` found for its runs; those take part and are not repeated.
        """
        there = list(before) or [None] * len(plan.runs)
        left = [each.recipe for each, run in zip(plan.runs, there, strict=True) if run is None]
        asked = dataclasses.replace(plan.experiment, taken=tuple(run.id for run in there if run is not None))
        return self._experiments.submit(ws, left, name=checked_name(name), asked=asked, in_turns=in_turns,
                                        features=features)

    def of(self, ws: str, id: str) -> Question | None:
        """An experiment's question and what its runs say of it so far; None where no design laid it out."""
        experiment = self._experiments.get(ws, id).asked
        if experiment is None or experiment.design not in designs.REGISTRY:
            return None
        design = designs.get(experiment.design)
        folders = self._folders(experiment, self._members(ws, id))
        kept = _Kept(key=(repr(experiment), _on_disk(folders)), design=design, experiment=experiment, folders=folders)
        return Question(design=design, experiment=experiment, planned=experiment.runs, done=len(folders),
                        reading=_read_once(kept))

    def folders(self, ws: str, id: str) -> Folders:
        """The finished runs of an experiment that a design laid out, by arm, rate and seed."""
        experiment = self._experiments.get(ws, id).asked
        return {} if experiment is None else self._folders(experiment, self._members(ws, id))

    def _members(self, ws: str, id: str) -> list[Run]:
        """Those that it takes from before, and its own, which count where both are there."""
        return [*self._experiments.taken(ws, id), *self._experiments.runs(ws, id)]

    def _folders(self, experiment: Experiment, runs: Sequence[Run]) -> Folders:
        """The runs that have a result, by the arm, rate and seed whose recipe they are."""
        done = {_key(run.recipe): Path(run.folder) for run in runs
                if run.recipe is not None and (Path(run.folder) / "result.json").is_file()}
        return {(each.arm, each.rate, each.seed): done[key] for each in expanded(experiment)
                if (key := _key(each.recipe)) in done}


def _key(recipe: Recipe) -> str:
    """Equal for a recipe before and after a device decided what it left open."""
    return recipe.replace(precision=resolve.AUTO, optimizer=resolve.AUTO).digest()
