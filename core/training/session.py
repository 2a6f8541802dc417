"""What the phases of one run hand to each other, and its first two phases: weights and data on disk, rows encoded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core import cache, tasks
from core.analysis.sample import probe_sample
from core.data import general
from core.domain import resolve
from core.domain.dataset import Dataset, Split
from core.domain.device import Device
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.domain.run import Observer, Phase
from core.errors import DataError
from core.features import extract
from core.features.encoded import Encoded
from core.features.row_store import RowStore
from core.models import fetch, methods, origin
from core.models import inspect as model_inspect
from core.models.network import Network
from core.planning import budget, recipes
from core.planning.footprint import SHARE_AVAILABLE
from core.planning.knobs import follows_batches
from core.settings import Settings
from core.tasks.base import Objective, Outputs, Rows
from core.training import artifact
from core.training import device as device_module

FORWARD_BYTES = 2e9
"""What a pass without gradients may take beside the weights of a model that fills a GPU."""


@dataclass(kw_only=True)
class Session:
    """What the phases of one run hand to each other."""

    recipe: Recipe
    settings: Settings
    workspace: str
    run_dir: Path
    observer: Observer
    resume: bool
    mates_wait: Callable[[], bool] | None = None
    """Of a run that races: whether others wait for their turns."""
    started: float = field(default_factory=time.monotonic)
    phase_seconds: dict[str, float] = field(default_factory=dict)
    shared: list[extract.Spent] = field(default_factory=list)
    """What the passes whose result other runs share took."""
    _phase: tuple[str, float] | None = None
    folder: Path = Path()
    facts: ModelFacts = None  # type: ignore[assignment]
    dataset: Dataset = None  # type: ignore[assignment]
    device: Device = None  # type: ignore[assignment]
    rows: Rows = None  # type: ignore[assignment]
    task: Objective = None  # type: ignore[assignment]
    encoded: Encoded = None  # type: ignore[assignment]
    precision: str = "fp32"
    train: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    validation: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    reference: Any = None
    """The untouched model on fixed texts (`core.training.forgetting.Reference`); None where it is not compared with."""
    fixed_texts: dict[str, Any] = field(default_factory=dict)
    """These texts, encoded (`core.training.panel_states.Texts`)."""
    base_outputs: Outputs | None = None
    """What the base model with its solved head (or its own) says of the validation rows."""
    base: dict[Split, Outputs] = field(default_factory=dict)
    """What the base model by itself says of the rows that the run is judged on, where it can do the task."""

    @property
    def card(self) -> methods.Card:
        return methods.get(self.recipe.method).card

    @property
    def speaks(self) -> bool:
        """Whether the network is a language model with its own output layer, which can be asked and read by token."""
        return not self.task.card.new_head and bool(self.facts.vocabulary)

    @property
    def untouched_weights(self) -> Weights:
        """How the model that a run is compared with is held: as published, unless a GPU that takes it in 4 bits has no
        room for that."""
        if self.card.weights is not Weights.FOUR_BIT or self.device.kind == "cpu":
            return Weights.PRETRAINED
        each = 4 if self.precision == "fp32" else 2  # bytes a weight
        room = SHARE_AVAILABLE.get(self.device.kind, 0.8) * self.device.memory_bytes / max(1, self.settings.slots)
        return Weights.PRETRAINED if each * self.facts.parameters + FORWARD_BYTES < room else Weights.FOUR_BIT

    def untouched_key(self) -> dict[str, Any]:
        """What keys of the cache say of it, where it is not held as published."""
        if self.untouched_weights is Weights.PRETRAINED:
            return {}
        return {"quantised": [self.recipe.quantization.type, self.recipe.quantization.double]}

    def untouched(self) -> Network:
        """That model, for passes without gradients."""
        return self.build(self.untouched_weights, 0.0, reads_only=True)

    def enter(self, phase: Phase) -> None:
        """Begin a phase and close the clock of the one before."""
        now = time.monotonic()
        if self._phase is not None:
            name, since = self._phase
            self.phase_seconds[name] = self.phase_seconds.get(name, 0.0) + now - since
        self._phase = (str(phase), now)
        self.observer.phase(phase)

    def report(self, unit: str, note: str = "") -> Callable[[float, float | None], None]:
        """A progress callback in that unit."""
        return lambda done, total: self.observer.progress(done, total, unit, note)

    def build(self, weights: Weights, dropout: float, *, reads_only: bool = False) -> Network:
        """A network of the recipe's base model on the device. reads_only: for passes without gradients. Raises
        RecipeError when its files changed since the run looked at them."""
        network = self.task.build(self.folder, recipe=self.recipe, facts=self.facts, weights=weights, dropout=dropout,
                                  compute_dtype=artifact.compute_dtype(self.precision), device=self.device.kind,
                                  reads_only=reads_only)
        origin.Origin(model_revision=self.facts.revision).check_model(self.recipe.base_model, self.settings)
        return network


def prepare(session: Session) -> None:
    """Weights and data on disk, device known, rows encoded."""
    recipe, settings = session.recipe, session.settings
    recipes.check_method(recipe, None, None)
    session.enter(Phase.FETCHING)
    session.folder = fetch.ensure_model(recipe.base_model, settings=settings,
                                        progress=session.report("bytes", "base model"))
    session.dataset = dataset_of(recipe.dataset, settings=settings, workspace=session.workspace,
                                 progress=session.report("bytes", "dataset"))
    if session.card.replay:  # before anything is computed for nothing
        general.load(settings=settings, progress=session.report("bytes", "general texts"))
    session.enter(Phase.PREPARING)
    torch.manual_seed(recipe.seed)
    session.device = device_module.read(settings)
    resolve.check(recipe, session.device)
    session.precision = resolve.precision(recipe, session.device)
    if session.resume:
        _check_origin(session)
    session.facts = model_inspect.inspect_model(recipe.base_model, settings=settings)
    unable = session.facts.bf16_fails if session.precision != "fp32" else ""
    session.precision = "fp32" if unable else session.precision
    session.observer.note(f"Computes in {session.precision} on {session.device.name}"
                          + (f", as this model does not compute in bf16 ({unable})." if unable else "."))
    origin.record(session.run_dir,
                  origin.Origin(model_revision=session.facts.revision, dataset_hash=session.dataset.content_hash))
    recipes.check_method(recipe, session.facts, session.device)
    session.rows = read_rows(session.dataset, settings=settings, workspace=session.workspace)
    session.task = tasks.get(recipe.task).of(session.folder, session.rows)
    session.encoded = session.task.encode(session.rows, recipe=recipe, facts=session.facts, cache=settings.cache,
                                          report=session.report("rows", "read"))
    if not len(session.rows.of(Split.TRAIN)):
        raise DataError("The dataset has no training rows.", remedy="Import it again with a training split.")
    sizes = budget.of_dataset(recipe, session.dataset)
    session.train, session.validation = (session.task.choose(session.rows, session.rows.of(split),
                                                             size, seed=recipe.seed)
                                         for split, size in zip((Split.TRAIN, Split.VALIDATION), sizes, strict=True))
    if len(session.train) < 2 and follows_batches(recipe, session.facts):
        raise DataError("One training row is too few for this model.",
                        why="Its BatchNorm layers take statistics over the rows of a batch.",
                        remedy="Import the dataset again with more training rows, or choose the method probe or LoRA.")
    chosen = {Split.TRAIN: session.train,
              **{s: session.rows.of(s) for s in (Split.VALIDATION, Split.TEST, Split.SHIFT)}}
    for note in session.task.examine(session.rows, session.encoded, session.train, recipe=recipe, facts=session.facts,
                                     folder=session.run_dir):
        session.observer.note(note)
    if session.untouched_weights is Weights.FOUR_BIT:
        session.observer.note(f"{session.device.name} has no room for the published weights: the run is compared with "
                              "the untouched model in 4 bits.")
    for finding in session.task.cautions(session.rows, {split.value: rows for split, rows in chosen.items()}):
        session.observer.note(finding.message)
    cache.evict(settings.cache, int(settings.cache_gb * 1e9))


def dataset_of(ref: str, *, settings: Settings, workspace: str, progress: Callable[[int, int | None], None]) -> Dataset:
    """The workspace's dataset of that id; a bundled one is fetched and ingested when the workspace lacks it.

    Raises NotFoundError for an unknown id, FetchError when no source delivers.
    """
    from core.data import bundled, catalogue, library

    found = library.find(ref, settings=settings, workspace=workspace)
    if found is None and any(entry.id == ref for entry in catalogue.DATASETS):
        return bundled.ensure(ref, settings=settings, workspace=workspace, progress=progress)
    return found or library.load(ref, settings=settings, workspace=workspace)


def read_rows(dataset: Dataset, *, settings: Settings, workspace: str) -> Rows:
    """All rows of an ingested dataset, in file order; pictures as absolute paths. Raises DataError when they are not
    those of its hash."""
    from core.data import library

    library.verify(dataset, settings=settings, workspace=workspace)
    table = library.read_rows(dataset, settings=settings, workspace=workspace)
    if "text" in table.column_names:
        content = table["text"].to_pylist()
    else:
        folder = library.folder(dataset, settings=settings, workspace=workspace).absolute()
        content = [str(folder / path) for path in table["image"].to_pylist()]
    groups = table["group"].to_numpy().astype(np.int64) if "group" in table.column_names else None
    return Rows(row_ids=table["row_id"].to_numpy(), content=content, classes=dataset.classes, groups=groups,
                labels=table["label"].to_numpy().astype(np.int64), splits=np.asarray(table["split"].to_pylist()),
                dataset_hash=dataset.content_hash, shape=dataset.shape, answers=dataset.answers)


def _check_origin(session: Session) -> None:
    """A run goes on from the very model and rows that it began with."""
    began = origin.of(session.run_dir)
    began.check_model(session.recipe.base_model, session.settings)
    began.check_dataset(session.dataset)


def tracked(session: Session) -> np.ndarray:
    """The rows whose features are recorded while training; their labels play no part in it, so they may lie outside of
    a label budget."""
    if not session.recipe.track_features:
        return np.zeros(0, np.int64)
    return probe_sample(session.rows.labels, session.rows.splits, rows=session.recipe.track_features)


def feature_store(session: Session) -> RowStore:
    """Pooled features of the untouched base model, shared by every run on (dataset, base model, length, pooling,
    precision)."""
    key = {"kind": "pooled", "dataset": session.rows.dataset_hash, "model": session.facts.revision,
           "length": session.recipe.max_length, "pooling": session.recipe.pooling, "precision": session.precision,
           "device": session.device.kind}
    return RowStore(session.settings.cache, "features", key=key, offsets=np.arange(len(session.rows.labels) + 1),
                    width=session.facts.hidden_size)
