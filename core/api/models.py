"""Base models: what there is, what inspecting one found, which methods it takes, and how one is fetched."""

from __future__ import annotations

from core import values
from core.api.desk import Desk
from core.domain.dataset import Task
from core.domain.device import Device
from core.domain.model import BundledModel, ModelFacts
from core.domain.run import JobKind
from core.errors import NotFoundError, RecipeError
from core.planning import recipes
from core.planning.recipes import MethodChoice


class Models:
    """Base models of a data folder, and the device that they run on."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def bundled(self) -> tuple[BundledModel, ...]:
        """Base models that can be fetched by a short name."""
        from core.models.catalogue import MODELS

        return MODELS

    def facts(self, model: str) -> ModelFacts | None:
        """What inspecting a base model found; of a bundled one that was not fetched, what it is known to find. None for
        any other that was not fetched."""
        from core.models import facts

        return facts.read(model, self._desk.settings) or facts.published(model)

    def is_here(self, model: str) -> bool:
        """Whether a base model was fetched and inspected, so that a run on it needs no network."""
        from core.models import facts

        return facts.read(model, self._desk.settings) is not None

    def device(self) -> Device | None:
        """The measured device; None until the supervisor has measured it at its first start."""
        return values.read(self._desk.settings.home / "device.json", Device)

    def methods(self, facts: ModelFacts, task: Task | None = None) -> list[MethodChoice]:
        """All methods, each with the reason where it does not apply to this model, this task or on this device."""
        return recipes.choices(facts, self.device(), task)

    def prepare(self, ws: str, *, model: str | None = None, dataset: str | None = None) -> str:
        """Fetch and inspect a base model and/or a bundled dataset in a worker; returns the job's id (of an equal one
        under way)."""
        from core.data.catalogue import DATASETS

        payload = {key: value for key, value in (("model", model), ("dataset", dataset)) if value}
        if not payload:
            raise RecipeError("There is nothing to prepare.", remedy="Name a base model, a bundled dataset, or both.")
        if dataset and all(dataset != entry.id for entry in DATASETS):
            raise NotFoundError(f"There is no bundled dataset {dataset[:80]!r}.", remedy="Choose one on the Data page.")
        if model:
            from core.models import facts

            facts.check_named_by_visitor(model, self._desk.settings)
        return self._desk.under_way(ws, JobKind.PREPARE, payload) or self._desk.submit_job(
            ws, JobKind.PREPARE, name=f"Fetch {' and '.join(payload.values())}", payload=payload)
