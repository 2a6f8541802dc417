"""Runs: watched, stopped, resumed, forked, deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core import files, values
from core.analysis import curves as curve_points
from core.analysis import (
    damage,
    fault_report,
    forgetting,
    judged_rows,
    learn_forget,
    predictions,
    reliability,
    samples,
    token_rows,
    verdict,
)
from core.analysis.comparison import confusion_of, recipe_of
from core.analysis.curves import Curves
from core.analysis.judged_rows import JudgedRows
from core.analysis.progress import Progress
from core.analysis.reliability import Reliability
from core.analysis.samples import Samples
from core.analysis.token_rows import TokenRows
from core.analysis.verdict import Ended, Line, Verdict
from core.api import curve_events
from core.api.data import Data
from core.api.desk import Desk
from core.api.models import Models
from core.domain import resolve
from core.domain.dataset import Dataset
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Result, Run, Status
from core.errors import FailureKind, NewerVersionError, RecipeError, ThawError
from core.models import origin
from core.planning import names
from core.planning import recipes as planning
from core.plots.learn_forget import Point
from core.store.jobs import NewJob
from core.unforeseen import is_disk_full

log = logging.getLogger("thaw.api")

BASE = "base"
"""In place of the id of a run: its base model."""
LOG_BYTES = 1_000_000
"""The end of a log that is shown."""


class Runs:
    """Runs and other jobs of a workspace."""

    def __init__(self, desk: Desk, *, data: Data, models: Models) -> None:
        self._desk = desk
        self._data = data
        self._models = models

    def all(self, ws: str, *, kind: JobKind | None = None) -> list[Run]:
        """Runs and other jobs of the workspace, newest first."""
        return self._desk.jobs(ws, kind=kind)

    def get(self, ws: str, id: str) -> Run:
        """One run or job; NotFoundError when the workspace has none of that id."""
        return self._desk.job(ws, id)

    def damaged(self, ws: str) -> list[Run]:
        """Entries of the queue that cannot be read, of any kind: they can be looked at (`Run.damage`) and deleted."""
        return [run for run in self._desk.jobs(ws) if run.damage]

    def progress(self, ws: str, id: str, *, after: int = 0) -> Progress:
        """The run as it is now and its events numbered above `after`. A few milliseconds: made for polling."""
        run = self.get(ws, id)  # read before the events: when it says "done", all of them are there
        events = self._desk.store.events.after(id, after)
        return Progress(run=run, events=events, last_seq=events[-1].seq if events else after)

    def curves(self, ws: str, id: str) -> Curves:
        """Learning curves of the whole run, at most 1000 points each. Asked again, it reads only what is new."""
        run = self.get(ws, id)
        return curve_points.from_events(curve_events.of(self._desk.store, id, attempt=run.attempts))

    def result(self, ws: str, id: str, *, complete: bool = False) -> Result | None:
        """What a run measured; None while it has not ended or when it ended without a result.

        complete: also by metrics that the version which made the run did not know; seconds where predictions are many.
        """
        run = self.get(ws, id)
        return self.completed(run) if complete else self.result_of(run)

    def completed(self, run: Run) -> Result | None:
        """The same with `complete`, of a run at hand."""
        result = self.result_of(run)
        return predictions.complete(result, Path(run.folder)) if result is not None else None

    def confusion(self, ws: str, id: str) -> tuple[list[list[int]], tuple[str, ...]] | None:
        """Confusion table and class names of a run's test rows; None when it has no such predictions."""
        return confusion_of(Path(self.get(ws, id).folder))

    def judged(self, ws: str, id: str, *, split: str = "test", other: str = "") -> JudgedRows | None:
        """The rows that a run was judged on, and how another run answered them; None when it kept no predictions.

        other: id of that run, or `base`: its own base model with a probe as head, at the rows whose features are made.
        """
        if other == BASE:
            return judged_rows.beside_base(Path(self.get(ws, id).folder), split, settings=self._desk.settings)
        beside = Path(self.get(ws, other).folder) if other else None
        return judged_rows.of_run(Path(self.get(ws, id).folder), split, other=beside)

    def token_rows(self, ws: str, id: str, *, split: str = "test", other: str = "") -> TokenRows | None:
        """The same of a language model: what each row cost it. other: another run, or `base`, the untouched model."""
        folder = Path(self.get(ws, id).folder)
        if other == BASE:
            return token_rows.beside_base(folder, split)
        return token_rows.of_run(folder, split, other=Path(self.get(ws, other).folder) if other else None)

    def has_base(self, ws: str, id: str, *, split: str = "test") -> bool:
        """Whether `judged` or `token_rows` can be asked for a run's own base model."""
        folder = Path(self.get(ws, id).folder)
        return (token_rows.has_base(folder, split)
                or judged_rows.has_base(folder, settings=self._desk.settings))

    def verdict(self, ws: str, id: str) -> Verdict | None:
        """Target, shift and forgetting of a run, each better, worse or not to be told, and what it cost; None without a
        result.

        Other runs of its experiment are looked at for the probe and for other seeds.
        """
        run = self.get(ws, id)
        result = self.result_of(run)
        if result is None or run.recipe is None:
            return None
        return verdict.of_run(Ended(run=run, result=result, name=names.one(run)), beside=self._beside(ws, run),
                              settings=self._desk.settings)

    def cost(self, ws: str, id: str, other: str, *, called: str) -> Line | None:
        """What a run cost beside another one, which the sentence calls so; None where one left no result."""
        run, rival = self.get(ws, id), self.get(ws, other)
        result, theirs = self.result_of(run), self.result_of(rival)
        if result is None or theirs is None:
            return None
        return verdict.cost_beside(Ended(run=run, result=result, name=names.one(run)),
                                   Ended(run=rival, result=theirs, name=called),
                                   beside=self._beside(ws, run), settled=self._beside(ws, rival))

    def forgotten(self, ws: str, id: str) -> list[dict[str, Any]]:
        """The forgetting panel of a run, a row a domain (see `core.analysis.forgetting.rows`); empty where nothing was
        measured. Other seeds of its experiment count for the noise floor."""
        run = self.get(ws, id)
        result = self.result_of(run)
        if result is None or not result.panel:
            return []
        ended = Ended(run=run, result=result, name="")
        return forgetting.rows(result, seeds=[each.result for each in verdict.seeds_of(ended, self._beside(ws, run))])

    def _beside(self, ws: str, run: Run) -> list[Ended]:
        """The other runs of an experiment that left a result."""
        others = [(other, found) for other in self._desk.jobs(ws, kind=JobKind.TRAIN)
                  if run.experiment is not None and other.experiment == run.experiment and other.id != run.id
                  and (found := self.result_of(other)) is not None]
        return [Ended(run=other, result=found, name=names.one(other)) for other, found in others]

    def learn_forget(self, ws: str, ids: Sequence[str]) -> list[Point]:
        """What language runs learned against what they forgot, as they ended and at their checkpoints: for
        `core.plots.learn_forget.chart`."""
        runs = [self.get(ws, id) for id in ids]
        called = names.short(runs)
        ended = [Ended(run=run, result=found, name=called[run.id]) for run in runs
                 if run.recipe is not None and (found := self.result_of(run)) is not None]
        return learn_forget.points(ended)

    def reliability(self, ws: str, id: str) -> Reliability | None:
        """Accuracy over confidence on its test rows, before and after temperature scaling; None for a run without
        classified test rows."""
        return reliability.of_run(Path(self.get(ws, id).folder))

    def samples(self, ws: str, id: str) -> Samples | None:
        """What a language model said to fixed prompts at each evaluation, compared with the untouched model; None
        before it said anything. Made for polling while it trains."""
        return samples.of_run(Path(self.get(ws, id).folder))

    def stop(self, ws: str, id: str) -> Status:
        """Ask a run to stop: its best checkpoint is kept and judged. Asking again ends it without waiting. Returns its
        state."""
        return self._desk.store.queue.ask_stop(ws, id)

    def put_first(self, ws: str, id: str) -> None:
        """Let a waiting run start before the others of its workspace that wait. Raises ThawError when it does not wait.
        """
        if not self._desk.store.queue.put_first(ws, id):
            raise ThawError("This run does not wait any more.", why=f"Its state is {self.get(ws, id).status}.",
                            remedy="Only runs that wait can be put before others.")

    def resume(self, ws: str, id: str) -> None:
        """Queue a run again that was stopped, failed or interrupted; its recipe stays, it goes on from its last
        checkpoint."""
        run = _own(self.get(ws, id), "resumed")
        if run.damage:
            raise ThawError(f"{names.one(run)} cannot be resumed.", why=run.failure.why if run.failure else "",
                            remedy="Delete it, and start a new run.")
        if run.recipe is not None:
            self.check(ws, run.recipe)
            origin.of(Path(run.folder)).check_model(run.recipe.base_model, self._desk.settings)
        if not self._desk.store.queue.resume(ws, id, most=self._desk.settings.max_queued):
            raise ThawError(f"{names.one(run)} cannot be resumed.", why=f"Its state is {self.get(ws, id).status}.",
                            remedy="Fork it to run its recipe once more.")

    def fork(self, ws: str, id: str, recipe: Recipe) -> str:
        """A new run from an edited recipe, in the same experiment, with the old run as its parent. Returns its id."""
        self._desk.check_room(ws, 1)
        parent = _own(self.get(ws, id), "forked in its own experiment")
        self.check(ws, recipe)
        recipe = resolve.resolved(recipe, self._models.device())
        job = NewJob(workspace=ws, kind=JobKind.TRAIN, name=names.of_recipe(recipe), recipe=recipe, parent=parent.id,
                     experiment=parent.experiment, runs_folder=self._desk.runs_folder(ws))
        return self._desk.submit(ws, [job])[0]

    def rename(self, ws: str, id: str, name: str) -> None:
        if not name.strip():
            raise RecipeError("A run needs a name.", remedy="Type at least one character.")
        _own(self.get(ws, id), "renamed")
        self._desk.store.jobs.rename(ws, id, name.strip()[:200])

    def delete(self, ws: str, id: str) -> None:
        """Delete a run that is not being worked on: row, events and folder. On a full disk the folder goes first, to
        make room."""
        run = self.get(ws, id)
        if run.experiment is not None:
            _own(run, "deleted by itself")
        try:
            files.remove_folder(self._desk.store.jobs.delete(ws, id))
        except Exception as error:
            if not is_disk_full(error):
                raise
            log.warning("The disk is full; deleting the folder of run %s first", id)
            files.remove_folder(self._desk.store.jobs.deletable(ws, id))
            self._desk.store.jobs.delete(ws, id)

    def damage(self, ws: str, id: str) -> dict[str, str]:
        """Files of a run that are there and cannot be read: name -> why. Empty while it is worked on, when files come
        and go."""
        run = self.get(ws, id)
        return damage.of_run(Path(run.folder)) if run.status.final else {}

    def log(self, ws: str, id: str) -> str:
        """The end of the run's log (up to 1 MB), tracebacks included; empty when there is none."""
        path = Path(self.get(ws, id).folder) / "log.txt"
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", errors="replace")

    def report(self, ws: str, id: str) -> str:
        """What may be handed on about a run that went wrong: what happened, versions, device, recipe and the end of its
        log, without rows of the dataset, paths and secrets. Seconds where the dataset is large."""
        run = self.get(ws, id)
        return fault_report.text(run, phase=self.last_phase(ws, id), device=self._models.device(), log=self.log(ws, id),
                                 secrets=(ws,), rows=self._texts(ws, run))

    def _texts(self, ws: str, run: Run) -> Iterator[list[str]]:
        """The texts of a run's dataset, some thousands at a time; nothing where it is gone, or holds pictures."""
        from core.data import library

        try:
            dataset = self._data.load(ws, run.recipe.dataset) if run.recipe else None
            if dataset is None:
                return
            for table in library.scan(dataset, settings=self._desk.settings, workspace=ws):
                if "text" in table.column_names:
                    yield [text or "" for text in table["text"].to_pylist()]
        except ThawError:
            return

    def has_result(self, run: Run) -> bool:
        """Whether it left a result, without reading it."""
        return run.status.final and (Path(run.folder) / "result.json").is_file()

    def last_phase(self, ws: str, id: str) -> str:
        """The phase in which a run is or ended; empty when it never began."""
        self.get(ws, id)
        event = self._desk.store.events.last(id, "phase")
        return str(event.data.get("phase", "")) if event else ""

    def result_of(self, run: Run) -> Result | None:
        """The same of a run at hand."""
        if not run.status.final:
            return None
        try:
            return values.read(Path(run.folder) / "result.json", Result)
        except NewerVersionError:  # named by `damage`
            return None

    def dataset_of(self, ws: str, id: str) -> Dataset:
        """The dataset that a run was trained on; NotFoundError when it is gone, RecipeError for a job that trained
        nothing."""
        return self._data.load(ws, recipe_of(self.get(ws, id)).dataset)

    def check(self, ws: str, recipe: Recipe) -> None:
        """Raise a ThawError when a recipe cannot run here."""
        planning.check(recipe, facts=self._models.facts(recipe.base_model), device=self._models.device(),
                       task=self._data.find_or_entry(ws, recipe.dataset).task, settings=self._desk.settings)


def _own(run: Run, what: str) -> Run:
    """The run, unless it came with an archive: then ThawError, since that stays as it is."""
    if run.imported:
        raise ThawError(f"{names.one(run)} cannot be {what}.", kind=FailureKind.DATA,
                        why="It was trained elsewhere and came with an archive, which stays whole and as it is.",
                        remedy="Start its recipe anew on the Train page, or delete the whole imported experiment.")
    return run
