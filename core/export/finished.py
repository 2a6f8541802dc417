"""A finished run as its exports see it: its model loaded for them, its own test rows, and what it recorded of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import values
from core.domain.dataset import Dataset
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.domain.run import Observer, Result
from core.domain.side import Side
from core.export.unfinished import Unfinished
from core.models.untrusted import json_object
from core.settings import Settings

if TYPE_CHECKING:
    from core.tasks.base import Rows
    from core.training.artifact import LoadedModel


@dataclass(kw_only=True)
class Finished:
    """A run's folder, and what is read from it when it is asked for."""

    folder: Path
    settings: Settings
    workspace: str
    """Of its dataset, where the folder does not tell."""
    observer: Observer | None = None
    title: str = ""
    """What the run is called."""

    strength: str = ""
    """A number or the name of a saved setting, of a run whose change is turned up or down; empty as trained."""

    unfinished: Unfinished | None = None
    """What an earlier attempt at the same export left, while one is written."""

    def once(self, part: str, make: Callable[[], Any]) -> Any:
        """What `make` returns (JSON) having written some files of an export; not called again where an attempt that was
        cut off had written them, and they are as it left them."""
        return make() if self.unfinished is None else self.unfinished.once(part, make)

    @property
    def said_by(self) -> str:
        """What its exports are compared with."""
        return "what the run recorded"

    def describe(self, target: Path) -> None:
        """Write into an export what its format does not know of."""

    @functools.cached_property
    def recipe(self) -> Recipe:
        return values.recipe(self.folder)

    @functools.cached_property
    def labels(self) -> dict[str, Any]:
        """The artifact's `labels.json`: classes, precision, and for language models the shape of rows."""
        return values.document(self.folder / "artifact" / "labels.json")

    @functools.cached_property
    def result(self) -> Result | None:
        return values.read(self.folder / "result.json", Result)

    @functools.cached_property
    def facts(self) -> ModelFacts:
        """Of the base model. Raises NotFoundError where it is not on this machine, RecipeError where its files changed
        since the run."""
        from core.models import inspect, origin

        origin.check_model(self.folder, self.settings)
        return inspect.facts_of(self.recipe.base_model, settings=self.settings)

    @property
    def name(self) -> str:
        return self.title or self.folder.name

    @property
    def base_folder(self) -> Path:
        """Where the base model's own files are."""
        from core.models import facts

        return facts.folder(self.recipe.base_model, self.settings)

    @property
    def base_hub_id(self) -> str:
        """What others call the base model: its id on the hub, or the name of its folder, never where that lies."""
        from core.models import catalogue, facts

        id = self.recipe.base_model
        entry = catalogue.find(id)
        return entry.hub_id if entry else facts.path(id).name if facts.is_local(id) else id

    @property
    def four_bit(self) -> bool:
        from core.models import methods

        return methods.card_of(self.recipe.method).weights is Weights.FOUR_BIT

    @property
    def in_32_bits(self) -> bool:
        """Whether what it recorded was computed in 32 bits on a CPU, as its exports are checked."""
        return self.labels["precision"] == "fp32" and not self.on_gpu

    @property
    def on_gpu(self) -> bool:
        """Whether it was trained on one."""
        said = json_object(self.folder / "environment.json").get("device")
        return isinstance(said, dict) and said.get("kind", "cpu") != "cpu"

    @functools.cached_property
    def whole(self) -> LoadedModel:
        """The tuned model in fp32 on the CPU, all that was trained in its weights."""
        from core.export import weights

        return weights.whole(self.folder, settings=self.settings, four_bit=self.four_bit)

    def as_trained(self, precision: str | None = None) -> LoadedModel:
        """The tuned model as Thaw itself predicts with it, adapters beside the weights."""
        from core.training import artifact

        return artifact.load(Side.of(self.folder), settings=self.settings, device="cpu",
                             precision=None if self.four_bit else precision)

    @functools.cached_property
    def rows(self) -> Rows | None:
        """All rows of its dataset; None where that is gone, or is another by now."""
        from core.training.session import read_rows

        dataset = self.dataset
        return read_rows(dataset, settings=self.settings, workspace=self.own_workspace) if dataset else None

    @property
    def own_workspace(self) -> str:
        """Where its dataset is: the workspace that its folder lies in, or the one that was named."""
        runs = self.folder.parent
        return runs.parent.name if runs.name == "runs" else self.workspace

    @functools.cached_property
    def dataset(self) -> Dataset | None:
        """None where it is gone, or is another by now."""
        from core.data import library

        own = self.own_workspace
        if not self.settings.workspace(own).is_dir():
            return None
        found = library.find(str(self.recipe.dataset), settings=self.settings, workspace=own)
        recorded = self.result.dataset_hash if self.result else ""
        return None if found is None or (recorded and found.content_hash != recorded) else found

    @property
    def rows_file(self) -> str:
        """The file with all rows of its dataset; empty without one."""
        from core.data import library

        if self.dataset is None:
            return ""
        folder = library.folder(self.dataset, settings=self.settings, workspace=self.own_workspace)
        return str(folder.absolute() / "rows.parquet")

    def note(self, text: str) -> None:
        if self.observer is not None:
            self.observer.note(text)

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        if self.observer is not None:
            self.observer.progress(done, total, unit, note)

    def stopped(self) -> bool:
        return self.observer is not None and self.observer.should_stop()
