"""Execute one recipe: fetch, prepare, cache, train, evaluate, save. Called by a worker process with an Observer."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core import tasks
from core.domain.dataset import Dataset, Split
from core.domain.device import Device
from core.domain.estimate import estimate
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import Interval, Observer, Phase, Result
from core.errors import DataError, RecipeError
from core.features import extract
from core.features.store import RowStore, evict
from core.models import fetch, methods
from core.models import inspect as model_inspect
from core.models.network import Network, count_parameters
from core.settings import Settings
from core.tasks.base import Encoded, Rows
from core.training import artifact, evaluate, probe, recorder, trainer
from core.training import device as device_module
from core.training.inputs import Inputs
from core.training.memory import PeakMemory

CACHE_SHARE = 0.5
"""Of the cache folder's limit, what the prefix of one run may take."""
MIN_CACHED_BLOCKS = 1
"""A prefix of the embeddings alone is not worth a file: looking them up costs nothing."""


@dataclass(kw_only=True)
class Session:
    """What the phases of one run hand to each other."""

    recipe: Recipe
    settings: Settings
    workspace: str
    run_dir: Path
    observer: Observer
    resume: bool
    started: float = field(default_factory=time.monotonic)
    phase_seconds: dict[str, float] = field(default_factory=dict)
    _phase: tuple[str, float] | None = None
    folder: Path = Path()
    facts: ModelFacts = None  # type: ignore[assignment]
    dataset: Dataset = None  # type: ignore[assignment]
    device: Device = None  # type: ignore[assignment]
    rows: Rows = None  # type: ignore[assignment]
    encoded: Encoded = None  # type: ignore[assignment]
    processor: Any = None
    precision: str = "fp32"
    train: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    validation: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def card(self) -> methods.Card:
        return methods.get(self.recipe.method).card

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

    def build(self, weights: str, dropout: float) -> Network:
        """A network of the recipe's base model on the device."""
        return tasks.adapter(self.recipe.task).build(
            self.folder, recipe=self.recipe, facts=self.facts, n_classes=len(self.rows.classes), weights=weights, dropout=dropout,
            compute_dtype=artifact.compute_dtype(self.precision), device=self.device.kind)


def execute(recipe: Recipe, *, settings: Settings, workspace: str, run_dir: Path, observer: Observer, resume: bool = False) -> Result:
    """Run the recipe and leave everything in `run_dir` (DESIGN: recipe, result, environment, predictions, artifact).

    A stop asked for through the observer ends training early, keeps the best checkpoint, and still evaluates and saves.
    resume: go on from the last complete checkpoint, with the same result as an uninterrupted run (exactly, on a CPU).
    Raises ThawError subclasses; out-of-memory errors of torch pass through for the worker to name.
    """
    session = Session(recipe=recipe, settings=settings, workspace=workspace, run_dir=run_dir, observer=observer, resume=resume)
    run_dir.mkdir(parents=True, exist_ok=True)
    artifact.write_json(run_dir / "recipe.json", recipe)
    _prepare(session)
    _import_libraries(session)
    with PeakMemory(session.device.kind) as peak:
        inputs, base_head, trained = _train(session)
        metrics = _evaluate(session, inputs, base_head)
        result = _save(session, inputs, base_head, metrics, trained)
    result = dataclasses.replace(result, peak_memory_bytes=peak.bytes, seconds=time.monotonic() - session.started + trained.earlier_seconds)
    artifact.write_json(run_dir / "result.json", result)
    return result


def _import_libraries(session: Session) -> None:
    """Load what the method needs before memory is measured: libraries (peft alone takes about 100 MB) are not the model's cost."""
    import importlib

    needed = ["sklearn.linear_model", "pyarrow.parquet"]
    needed += ["peft"] if session.card.adapter else []
    needed += ["bitsandbytes"] if session.card.weights == "4bit" else []
    for name in needed:
        importlib.import_module(name)


def _prepare(session: Session) -> None:
    """Weights and data on disk, device known, rows encoded."""
    recipe, settings = session.recipe, session.settings
    session.enter(Phase.FETCHING)
    session.folder = fetch.ensure_model(recipe.base_model, settings=settings, progress=session.report("bytes", "base model"))
    session.dataset = dataset_of(recipe.dataset, settings=settings, workspace=session.workspace,
                                 progress=session.report("bytes", "dataset"))
    session.enter(Phase.PREPARING)
    torch.manual_seed(recipe.seed)
    session.device = device_module.read(settings)
    session.precision = _precision(recipe, session.device)
    session.observer.note(f"Computes in {session.precision} on {session.device.name}.")
    session.facts = model_inspect.inspect_model(recipe.base_model, settings=settings)
    _check_method(session)
    adapter = tasks.adapter(recipe.task)
    session.processor = adapter.load_processor(session.folder)
    session.rows = read_rows(session.dataset, settings=settings, workspace=session.workspace)
    session.encoded = adapter.encode(session.rows, processor=session.processor, recipe=recipe, facts=session.facts, cache=settings.cache,
                                     report=session.report("rows", "read"))
    session.train = _budget(session.rows, recipe)
    session.validation = session.rows.of(Split.VALIDATION)
    evict(settings.cache, int(settings.cache_gb * 1e9))


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
    """All rows of an ingested dataset, in file order; pictures as absolute paths."""
    from core.data import library

    table = library.read_rows(dataset, settings=settings, workspace=workspace)
    if "text" in table.column_names:
        content = table["text"].to_pylist()
    else:
        folder = library.folder(dataset, settings=settings, workspace=workspace).absolute()
        content = [str(folder / path) for path in table["image"].to_pylist()]
    return Rows(row_ids=table["row_id"].to_numpy(), content=content,
                labels=table["label"].to_numpy().astype(np.int64), splits=np.asarray(table["split"].to_pylist()),
                classes=dataset.classes, dataset_hash=dataset.content_hash)


def _precision(recipe: Recipe, device: Device) -> str:
    if recipe.precision == "auto":
        return device.precision
    if recipe.precision == "fp16" and device.kind == "cpu":
        raise RecipeError("fp16 is not available on a CPU.", why="torch trains in fp16 on GPUs only.", remedy="Choose auto, fp32 or bf16.")
    return recipe.precision


def _check_method(session: Session) -> None:
    reason = methods.get(session.recipe.method).applies_to(session.facts, session.device)
    if reason:
        raise RecipeError(f"{session.card.label} does not apply to {session.recipe.base_model}.", why=f"The reason: {reason}.",
                          remedy="Choose another method or another base model.")


def _budget(rows: Rows, recipe: Recipe) -> np.ndarray:
    from core.data.splits import label_budget

    train = rows.of(Split.TRAIN)
    if not len(train):
        raise DataError("The dataset has no training rows.", remedy="Import it again with a training split.")
    return train[label_budget(rows.labels[train], recipe.label_budget, seed=recipe.seed)]


# -- caching and training ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """What training left besides the network: what it could train, its steps and rows, the best step, seconds of earlier attempts."""

    trainable_params: int = 0
    total_params: int = 0
    steps: int = 0
    samples: int = 0
    best_step: int | None = None
    earlier_seconds: float = 0.0


def _train(session: Session) -> tuple[Inputs, probe.LinearHead | None, Trained]:
    recipe, card = session.recipe, session.card
    wants_probe = card.solved or card.head_first > 0 or (recipe.head_init == "probe" and card.weights != "fresh")
    base_head, network = _base_head(session) if wants_probe else (None, None)
    if card.solved:
        assert network is not None and base_head is not None  # `wants_probe` is true for solved methods
        _set_head(network, base_head)
        methods.get(recipe.method).make_trainable(network, recipe)
        trainable, total = count_parameters(network)
        inputs = Inputs(network=network, encoded=session.encoded, labels=session.rows.labels, precision=session.precision)
        return inputs, base_head, Trained(trainable_params=trainable, total_params=total)
    dropout = 0.0 if card.adapter else recipe.dropout
    if network is None or card.weights != "pretrained" or dropout:
        network = None
        torch.manual_seed(recipe.seed)
        network = session.build(card.weights, dropout)
    if base_head is not None:
        _set_head(network, base_head)
    methods.get(recipe.method).make_trainable(network, recipe)
    _checkpointing(session, network)
    trainable, total = count_parameters(network)  # before cached blocks are taken out of the network
    inputs = Inputs(network=network, encoded=session.encoded, labels=session.rows.labels, precision=session.precision)
    _cache_prefix(session, inputs)
    return inputs, base_head, dataclasses.replace(_fit(session, inputs), trainable_params=trainable, total_params=total)


def _base_head(session: Session) -> tuple[probe.LinearHead, Network | None]:
    """The solved probe, from cached features of the base model; and the network when one had to be loaded for it."""
    session.enter(Phase.CACHING)
    wanted = np.concatenate([session.train, session.validation])
    if session.card.solved:
        wanted = np.concatenate([wanted, session.rows.of(Split.TEST), session.rows.of(Split.SHIFT)])
    store = feature_store(session)
    network = None
    if session.card.weights == "pretrained" or len(store.missing(wanted)):
        torch.manual_seed(session.recipe.seed)
        network = session.build("pretrained", 0.0)
        extract.fill_features(store, network, session.encoded, wanted, precision=session.precision, report=session.report("rows",
                                                                                                                          "features"))
    validation = (store.read_single(session.validation), session.rows.labels[session.validation])
    head = probe.solve(store.read_single(session.train), session.rows.labels[session.train], validation=validation,
                       n_classes=len(session.rows.classes), seed=session.recipe.seed)
    if session.card.solved and len(session.validation):
        found = evaluate.scores(head.logits(validation[0]), validation[1])
        session.observer.evaluation(step=0, epoch=0.0, samples=len(session.train), seconds=time.monotonic() - session.started, **found)
    store.close()
    return head, network


def feature_store(session: Session) -> RowStore:
    """Pooled features of the untouched base model, shared by every run on (dataset, base model, length, pooling, precision)."""
    key = {"kind": "pooled", "dataset": session.rows.dataset_hash, "model": session.facts.revision, "length": session.recipe.max_length,
           "pooling": session.recipe.pooling, "precision": session.precision, "device": session.device.kind}
    return RowStore(session.settings.cache, "features", key=key, offsets=np.arange(len(session.rows.labels) + 1),
                    width=session.facts.hidden_size)


def _set_head(network: Network, head: probe.LinearHead) -> None:
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(head.weight))
        network.head.bias.copy_(torch.from_numpy(head.bias))


def _checkpointing(session: Session, network: Network) -> None:
    """Recompute activations in the backward pass where the recipe says so, or (auto) where the run would not fit otherwise."""
    recipe = session.recipe
    wanted = recipe.gradient_checkpointing == "on"
    if recipe.gradient_checkpointing == "auto":
        wanted = _estimate(session, recipe.replace(gradient_checkpointing="off")).memory.badge == "will not fit"
    if not wanted:
        return
    if network.has_batch_norm or not getattr(network.body, "supports_gradient_checkpointing", False):
        session.observer.note("Keeps all activations: this model cannot recompute them in the backward pass"
                              + (" (BatchNorm would count each batch twice)." if network.has_batch_norm else "."))
        return
    network.body.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
    if session.card.adapter:
        network.keep_in_eval([])  # transformers recomputes in train mode only; the body's dropout is 0, so nothing else changes
    session.observer.note("Recomputes activations in the backward pass to save memory.")


def _cache_prefix(session: Session, inputs: Inputs) -> None:
    """Run the frozen blocks below the first trainable one once for all rows, and start from there ever after."""
    recipe, network = session.recipe, inputs.network
    plan = recipe.freeze if session.card.needs_freeze_plan else None
    boundary = (plan.first_trainable((*network.stack.names, "head")) if plan else 0) - 1
    if boundary < MIN_CACHED_BLOCKS:
        return
    if recipe.augmentation != "off" and not session.encoded.ragged:
        session.observer.note("The frozen blocks were not cached, because augmentation changes every picture.")
        return
    if boundary >= network.stack.size:
        boundary = network.stack.size - 1  # everything is frozen: start at the last block, whose output still passes the final norm
    session.enter(Phase.CACHING)
    wanted = np.concatenate([session.train, session.validation, session.rows.of(Split.TEST), session.rows.of(Split.SHIFT)])
    found = extract.try_prefix(network, session.encoded, wanted[:2], boundary=boundary, precision=session.precision)
    if found is None:
        session.observer.note("The frozen blocks were not cached: the blocks of this model hand on more than one tensor.")
        return
    store = _prefix_store(session, boundary, found, len(wanted))
    if store is None:
        return
    extract.fill_prefix(store, network, session.encoded, wanted, boundary=boundary, precision=session.precision,
                        report=session.report("rows", f"blocks below {boundary}"))
    inputs.prefix, inputs.prefix_shape, inputs.runner = store, found.shape, extract.PrefixRunner(network, boundary)
    session.observer.note(f"The {boundary} frozen blocks below block {boundary} were run once and cached.")


def _prefix_store(session: Session, boundary: int, found: extract.Boundary, n_rows: int) -> RowStore | None:
    """The store of what enters the first trainable block; None, with a note, where it would fill the cache folder."""
    recipe, encoded = session.recipe, session.encoded
    quantised = [recipe.quantization.type, recipe.quantization.double] if session.card.weights == "4bit" else None
    key = {"kind": "prefix", "boundary": boundary, "dataset": session.rows.dataset_hash, "model": session.facts.revision,
           "length": recipe.max_length, "precision": session.precision, "quantised": quantised, "device": session.device.kind}
    if encoded.ragged:
        offsets, width = np.concatenate([[0], np.cumsum(encoded.lengths)]), found.shape[-1]
    else:
        offsets, width = np.arange(len(encoded.lengths) + 1), math.prod(found.shape)
    needed = n_rows * float(offsets[-1]) / len(encoded.lengths) * width * np.dtype(found.dtype).itemsize
    limit = CACHE_SHARE * session.settings.cache_gb * 1e9
    if needed > limit:
        session.observer.note(f"The frozen blocks were not cached: their output takes {needed / 1e9:.1f} GB, more than the "
                              f"{limit / 1e9:.1f} GB that one entry of the cache may take (THAW_CACHE_GB).")
        return None
    return RowStore(session.settings.cache, "prefix", key=key, offsets=offsets, width=width, dtype=found.dtype)


def _fit(session: Session, inputs: Inputs) -> Trained:
    folder = session.run_dir / "checkpoints"
    checkpoint = trainer.last_checkpoint(folder) if session.resume else None
    earlier = trainer.elapsed_at(checkpoint) if checkpoint else 0.0
    session.enter(Phase.TRAINING)
    fit = trainer.build(inputs=inputs, recipe=session.recipe, train=session.train, validation=session.validation, folder=folder,
                        observer=session.observer, elapsed=earlier)
    if session.recipe.track_features:
        fit.add_callback(recorder.FeatureRecorder(inputs, row_ids=session.rows.row_ids, splits=session.rows.splits,
                                                  rows=session.recipe.track_features, folder=session.run_dir / "features"))
    if checkpoint is None and len(session.validation):
        fit.evaluate()  # where it starts from, so that curves begin at step 0
    fit.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return Trained(steps=fit.state.global_step, samples=fit.samples, best_step=fit.state.best_global_step, earlier_seconds=earlier)


# -- evaluating and saving --------------------------------------------------------------------------------------------------------


def _evaluate(session: Session, inputs: Inputs, base_head: probe.LinearHead | None) -> dict[str, dict[str, Interval]]:
    """Predictions and intervals of test and shift rows, predictions of validation rows."""
    from core.metrics.intervals import bootstrap

    session.enter(Phase.EVALUATING)
    metrics: dict[str, dict[str, Interval]] = {}
    for split in (Split.VALIDATION, Split.TEST, Split.SHIFT):
        indices = session.rows.of(split)
        if not len(indices):
            continue
        values = _logits(session, inputs, base_head, indices)
        labels = session.rows.labels[indices]
        evaluate.write_predictions(session.run_dir / f"predictions-{split}.parquet", session.rows.row_ids[indices], labels, values)
        if split != Split.VALIDATION:
            metrics[str(split)] = bootstrap(labels, values.argmax(1), n_classes=len(session.rows.classes), seed=0)
    return metrics


def _logits(session: Session, inputs: Inputs, base_head: probe.LinearHead | None, indices: np.ndarray) -> np.ndarray:
    if session.card.solved and base_head is not None:  # a probe's features are cached: no second forward pass
        store = feature_store(session)
        values = base_head.logits(store.read_single(indices))
        store.close()
        return values
    return evaluate.logits(inputs, indices)


def _estimate(session: Session, recipe: Recipe) -> Any:
    rows = {split: session.dataset.rows(split) for split in session.dataset.counts}
    return estimate(recipe, facts=session.facts, device=session.device, n_classes=len(session.rows.classes), rows=rows,
                    mean_length=session.dataset.mean_length)


def _save(session: Session, inputs: Inputs, base_head: probe.LinearHead | None, metrics: dict[str, dict[str, Interval]],
          trained: Trained) -> Result:
    import shutil

    session.enter(Phase.SAVING)
    size = artifact.save(session.run_dir / "artifact", network=inputs.network, recipe=session.recipe, classes=session.rows.classes,
                         processor=session.processor, base_head=base_head, precision=session.precision)
    if not session.observer.should_stop():
        shutil.rmtree(session.run_dir / "checkpoints", ignore_errors=True)  # a finished run has nothing to resume
    versions = device_module.versions()
    artifact.write_json(session.run_dir / "environment.json", {
        "versions": versions, "device": session.device, "precision": session.precision, "dataset": session.dataset.content_hash,
        "base_model_revision": session.facts.revision, "seed": session.recipe.seed, "threads": torch.get_num_threads()})
    name, since = session._phase or (str(Phase.SAVING), time.monotonic())
    session.phase_seconds[name] = session.phase_seconds.get(name, 0.0) + time.monotonic() - since
    return Result(metrics=metrics, trainable_params=trained.trainable_params, total_params=trained.total_params, seconds=0.0,
                  phase_seconds=session.phase_seconds,
                  peak_memory_bytes=0, estimated_memory_bytes=_estimate(session, session.recipe).memory.total, artifact_bytes=size,
                  steps=trained.steps, samples=trained.samples, best_step=trained.best_step, precision=session.precision,
                  device=session.device.name, versions=versions, dataset_hash=session.dataset.content_hash,
                  model_revision=session.facts.revision)


def read_result(run_dir: Path) -> Result:
    """The recorded result of a run folder."""
    from core.domain import codec

    return codec.from_json(Result, json.loads((run_dir / "result.json").read_text(encoding="utf-8")))
