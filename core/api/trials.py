"""Try one step: what a recipe really needs in memory and time, before a long run. No torch."""

from __future__ import annotations

import dataclasses

from core.api.desk import Desk
from core.api.models import Models
from core.api.runs import Runs
from core.domain import codec, resolve
from core.domain.one_step import OneStep
from core.domain.recipe import Recipe
from core.domain.run import Failure, JobKind, Run
from core.errors import FailureKind, RecipeError
from core.models import methods
from core.planning import names

LESS = ("Halve the batch size or the text length, recompute activations, freeze more blocks, or choose LoRA or QLoRA; "
        "then try a step again.")
"""What to do where a step needs more memory than there is."""


class Trials:
    """Steps that were tried in a workspace, by their recipe. They are jobs of their own, never runs."""

    def __init__(self, desk: Desk, *, models: Models, runs: Runs) -> None:
        self._desk = desk
        self._models = models
        self._runs = runs

    @staticmethod
    def has_steps(method: str) -> bool:
        """Whether a method is trained step by step, so that one can be tried."""
        return not methods.card_of(method).solved

    def ask(self, ws: str, recipe: Recipe) -> str:
        """Have a worker take one step; the id of the job, or of an equal one under way. Raises what `submit` raises
        for the recipe, and RecipeError where nothing is trained step by step."""
        if not self.has_steps(recipe.method):
            raise RecipeError(f"{names.method(recipe.method, recipe.task)} takes no step that could be tried.",
                              why="Nothing of it is trained step by step.", remedy="Start it: it takes one pass.")
        self._runs.check(ws, recipe)
        payload = self._payload(recipe)
        return self._desk.under_way(ws, JobKind.TRIAL, payload) or self._desk.submit_job(
            ws, JobKind.TRIAL, name=f"One step of {names.method(recipe.method, recipe.task)}", payload=payload)

    def job(self, ws: str, recipe: Recipe) -> Run | None:
        """The newest job that was asked for this recipe, whatever became of it; its failure says what to change."""
        payload = self._payload(recipe)
        found = next((job for job in self._desk.jobs(ws, kind=JobKind.TRIAL) if job.payload == payload), None)
        return None if found is None else dataclasses.replace(found, failure=mended(found.failure))

    def look(self, ws: str, recipe: Recipe) -> OneStep | None:
        """What the newest step of this recipe took; None where none has ended well."""
        payload = self._payload(recipe)
        for job in self._desk.jobs(ws, kind=JobKind.TRIAL):
            if job.payload == payload and (event := self._desk.store.events.last(job.id, "result")) and event.data:
                return codec.from_json(OneStep, event.data)
        return None

    def stop(self, ws: str, id: str) -> None:
        """End a trial at once: it has nothing to keep."""
        for _ in range(2):
            self._runs.stop(ws, id)

    def _payload(self, recipe: Recipe) -> dict[str, object]:
        return payload(resolve.resolved(recipe, self._models.device()))


def payload(recipe: Recipe) -> dict[str, object]:
    """What such a job is told. The seed decides nothing of what is measured."""
    return {"recipe": recipe.replace(seed=0).to_json()}


def mended(failure: Failure | None) -> Failure | None:
    """The same, with what to do about a step, of which there is no run to fork or to resume."""
    if failure is None:
        return None
    if failure.kind is FailureKind.OUT_OF_MEMORY:
        return dataclasses.replace(failure, what="One step needs more memory than there is.", remedy=LESS)
    if failure.kind is FailureKind.INTERRUPTED:
        return dataclasses.replace(failure, what="The step was interrupted.", remedy="Try it again.")
    if failure.kind is FailureKind.NON_FINITE_LOSS:
        return dataclasses.replace(failure, remedy=failure.remedy.partition(";")[0].rstrip(".") + ".")
    return failure
