"""A run's trained change turned up and down: what was measured, asking for more, settings saved under a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.analysis import strength_files
from core.analysis.strength_files import Curves
from core.api.desk import Desk
from core.api.runs import Runs
from core.domain import strength
from core.domain.run import JobKind, Run
from core.domain.strength import Dial, HeadRule, Turn
from core.errors import NotFoundError, RecipeError
from core.models import methods
from core.planning import names
from core.serving import client
from core.serving.question import Setting, from_parts
from core.serving.question import Turnable as TurnableSide


@dataclass(frozen=True, kw_only=True)
class Turnable:
    """What there is of one run."""

    reason: str = ""
    """Why it cannot be turned; empty where it can."""
    curves: Curves | None = None
    """None before anything was measured."""
    job: str | None = None
    """Id of the job that is measuring, or waiting to."""
    last: Run | None = None
    """The newest job that has ended."""


class Strength:
    """Runs of a workspace, turned."""

    def __init__(self, desk: Desk, *, runs: Runs) -> None:
        self._desk = desk
        self._runs = runs

    def usable(self, ws: str) -> list[Run]:
        """Runs that left a model, newest first."""
        return [run for run in self._runs.all(ws, kind=JobKind.TRAIN)
                if run.recipe is not None and _has_model(run)]

    def state(self, ws: str, id: str) -> Turnable:
        """What was measured of a run, and which job is at it."""
        run = self._desk.job(ws, id)
        if why := _refusal(run):
            return Turnable(reason=why)
        jobs = [job for job in self._desk.jobs(ws, kind=JobKind.STRENGTH) if job.payload.get("run") == run.folder]
        return Turnable(curves=strength_files.read(Path(run.folder)),
                        job=next((job.id for job in jobs if not job.status.final), None),
                        last=next((job for job in jobs if job.status.final), None))

    def request(self, ws: str, id: str, *, dial: Dial = Dial.STRENGTH, blocks: Sequence[str] = (),
                head: HeadRule = HeadRule.FOLLOWS, values: Sequence[float] = ()) -> str:
        """Measure a dial (at its grid without `values`) in a worker. Returns the id of the job, or of the one that is
        under way for this run. Raises RecipeError for a run or a setting that cannot be turned."""
        run = self._desk.job(ws, id)
        if why := _refusal(run):
            raise RecipeError(f"{names.one(run)} cannot be turned.", why=why, remedy="Choose another run.")
        for value in values:
            strength.at(dial, value).check()
        if under_way := self.state(ws, id).job:
            return under_way
        payload: dict[str, Any] = {"run": run.folder, "dial": dial.value, "blocks": list(blocks), "head": head.value,
                                   "values": list(values)}
        return self._desk.submit_job(ws, JobKind.STRENGTH, name=f"Strength of {names.one(run)}", payload=payload)

    def live(self, ws: str, id: str, value: float, *, dial: Dial = Dial.STRENGTH, blocks: Sequence[str] = (),
             head: HeadRule = HeadRule.FOLLOWS, visitor: str = "") -> None:
        """Measure one setting now, by the process that holds models: the first takes some seconds, as the model is
        loaded with its rows; then it stays. Afterwards it stands in `state`.

        Raises RecipeError for a run or a setting that cannot be turned, and ThawErrors of the process.
        """
        run = self._desk.job(ws, id)
        if why := _refusal(run):
            raise RecipeError(f"{names.one(run)} cannot be turned.", why=why, remedy="Choose another run.")
        side = TurnableSide(run=str(Path(run.folder).absolute()), workspace=ws, blocks=tuple(blocks))
        handle, known = client.measure(Setting(side=side, dial=dial, head=head, value=value, visitor=visitor),
                                       self._desk.settings), -1
        while True:
            found, known = client.look(handle, self._desk.settings, known=known, wait_s=5.0)
            if found.final:
                break
        if (error := found.answers[0].error) is not None:
            raise from_parts(error)

    def is_live(self, run: Run) -> bool:
        """Whether a setting of a run is measured at once. Language models take far longer than a moment: a worker
        measures them."""
        return run.recipe is not None and run.recipe.task.labelled

    def points(self, ws: str, id: str) -> Mapping[str, Turn]:
        """Saved settings by name; a side of that `point` is the model at it."""
        return strength_files.points(Path(self._desk.job(ws, id).folder))

    def save(self, ws: str, id: str, name: str, turn: Turn) -> None:
        """Save a setting. Raises RecipeError for a name or a setting that cannot be."""
        run = self._desk.job(ws, id)
        if not _has_model(run):
            raise NotFoundError("This run left no model to turn.", remedy="Choose a run that is done.")
        strength_files.save_point(Path(run.folder), name, turn)

    def remove(self, ws: str, id: str, name: str) -> None:
        """Forget a saved setting."""
        strength_files.remove_point(Path(self._desk.job(ws, id).folder), name)


def _has_model(run: Run) -> bool:
    return run.status.final and not run.imported and (Path(run.folder) / "artifact" / "labels.json").is_file()


def _refusal(run: Run) -> str:
    if run.recipe is None or not _has_model(run):
        return "It left no model, or has not ended yet."
    if methods.card_of(run.recipe.method).solved:
        return "Its method trains no weight of the base model, so there is no change to turn."
    return strength_files.refusal(run.recipe)
