"""Execute one recipe: fetch, prepare, cache, train, evaluate, save. Called by a worker process with an Observer."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core import files, metrics
from core.analysis import feature_paths, kept_steps, predictions, strength_files
from core.domain.dataset import Split
from core.domain.model import Weights
from core.domain.recipe import PAGED_ADAMW, Recipe
from core.domain.run import Interval, Observer, Phase, Result, TurnOver
from core.errors import RecipeError
from core.features import extract
from core.models import attention, methods
from core.models.network import Network, count_parameters
from core.planning import recipes, trackers
from core.planning.budget import LABELS
from core.settings import Settings
from core.tasks.base import Outputs, SolvedHead
from core.training import artifact, base_side, ended_worse, evaluate, forgetting, prefix, samples
from core.training import device as device_module
from core.training.inputs import Inputs
from core.training.peak_memory import Metered, PeakMemory
from core.training.resolved import resolved
from core.training.session import Session, feature_store, prepare


def execute(recipe: Recipe, *, settings: Settings, workspace: str, run_dir: Path, observer: Observer,
            resume: bool = False, in_turns: Callable[[], bool] | None = None) -> Result:
    """Run the recipe and leave everything in `run_dir` (DESIGN: recipe, result, environment, predictions, artifact).

    What the recipe leaves to the device is decided here, at its first execution, and kept in `recipe.json`.
    A stop asked for through the observer ends training early, keeps the best checkpoint, and still evaluates and saves.
    resume: go on from the last complete checkpoint, with the same result as an uninterrupted run (exactly, on a CPU).
    in_turns: whether others wait; then the run ends at a rung of the race by raising TurnOver, to be resumed.
    Raises ThawError subclasses; out-of-memory errors of torch pass through for the worker to name.
    """
    trackers.check(settings)
    run_dir.mkdir(parents=True, exist_ok=True)
    recipe = resolved(recipe, run_dir=run_dir, settings=settings)
    session = Session(recipe=recipe, settings=settings, workspace=workspace, run_dir=run_dir, observer=observer,
                      resume=resume, mates_wait=in_turns)
    artifact.write_json(run_dir / "recipe.json", recipe)
    if not resume:
        kept_steps.forget(run_dir)
    prepare(session)
    import_libraries(session)
    base_side.ahead(session)
    forgetting.before(session)
    samples.untouched(session)
    with PeakMemory(session.device.kind, began=str(Phase.PREPARING)) as peak:
        session.observer = Metered(observer, peak)
        inputs, base_head, trained = _train(session)
        metrics = _evaluate(session, inputs, base_head, trained.validation)
        changed = forgetting.after(session, inputs)
        result = _save(session, inputs, base_head, metrics, trained)
    complete = not observer.should_stop()
    result = dataclasses.replace(result, peak_memory_bytes=peak.bytes, phase_memory_bytes=peak.by_phase,
                                 complete=complete, **changed, **_seconds(session, trained))
    artifact.write_json(run_dir / "result.json", result)
    if complete:
        # a finished run has nothing to resume; before, it may be killed
        shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)
    return result


def _seconds(session: Session, trained: Trained) -> dict[str, Any]:
    """Time as it can be compared: without downloads, and shared passes at what they cost, whether this run or an
    earlier one paid."""
    wall = (time.monotonic() - session.started - session.phase_seconds.get(str(Phase.FETCHING), 0.0)
            + trained.earlier_seconds)
    marginal = max(0.0, wall - sum(spent.own for spent in session.shared))
    shared = sum(spent.whole for spent in session.shared)
    return {"seconds": marginal + shared, "marginal_seconds": marginal, "shared_seconds": shared}


def import_libraries(session: Session) -> None:
    """Load what the method needs before memory is measured: libraries (peft alone takes about 100 MB) are not the
    model's cost."""
    import importlib

    needed = ["transformers.modeling_utils", "transformers.masking_utils", "sklearn.linear_model", "pyarrow.parquet"]
    # a probe is solved: it starts without the Trainer
    needed += [] if session.card.solved else ["core.training.trainer"]
    needed += ["peft"] if session.card.adapter else []
    needed += (["bitsandbytes"] if session.card.weights is Weights.FOUR_BIT or session.recipe.optimizer == PAGED_ADAMW
               else [])
    for name in needed:
        importlib.import_module(name)


# -- caching and training ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """What training left besides the network: what it could train, its steps and rows, the best step, seconds of
    earlier attempts."""

    trainable_params: int = 0
    total_params: int = 0
    steps: int = 0
    samples: int = 0
    best_step: int | None = None
    earlier_seconds: float = 0.0
    validation: Outputs | None = None
    """What the network says of the validation rows, where training left it."""


def _train(session: Session) -> tuple[Inputs, SolvedHead | None, Trained]:
    recipe, card = session.recipe, session.card
    solves = session.task.card.new_head and card.solves_head(recipe)
    base_head, network = _base_head(session) if solves else (None, None)
    dropout = body_dropout(session)
    if network is None or card.weights is not Weights.PRETRAINED or dropout:
        network = None
        torch.manual_seed(recipe.seed)
        network = session.build(card.weights, dropout)
    if card.weights is Weights.PRETRAINED:
        base_side.measure(session, network)
    if base_head is not None:
        network.head.load_state_dict({name: torch.from_numpy(value) for name, value in base_head.tensors().items()})
    inputs = to_train(session, network)
    trainable, total = count_parameters(network)  # before cached blocks are taken out of the network
    if card.solved:
        return inputs, base_head, Trained(trainable_params=trainable, total_params=total)
    prefix.cache(session, inputs)
    return inputs, base_head, dataclasses.replace(_fit(session, inputs), trainable_params=trainable, total_params=total)


def body_dropout(session: Session) -> float:
    """Dropout inside the body: none where the body does not train."""
    return 0.0 if session.card.adapter or session.card.solved else session.recipe.dropout


def to_train(session: Session, network: Network) -> Inputs:
    """The network made trainable as the recipe says, with the rows it reads."""
    try:
        methods.get(session.recipe.method).make_trainable(network, session.recipe)
    except (TypeError, ValueError) as error:  # a layer of a kind that peft does not know, say
        if session.card.adapter is None:
            raise
        raise RecipeError(f"{session.card.label} does not fit {session.recipe.base_model}.",
                          why=f"Its layers are of another kind: {str(error).splitlines()[0][:200]}",
                          remedy="Choose another method or another base model.") from error
    if not session.card.solved:
        _checkpointing(session, network)
    return Inputs(task=session.task, network=network, rows=session.rows, encoded=session.encoded,
                  precision=session.precision)


def _base_head(session: Session) -> tuple[SolvedHead, Network | None]:
    """The head solved by the task, from cached features of the base model; and the network when one had to be loaded
    for it."""
    session.enter(Phase.CACHING)
    wanted = np.concatenate([session.train, session.validation])
    if session.card.solved:
        wanted = np.concatenate([wanted, session.rows.of(Split.TEST), session.rows.of(Split.SHIFT)])
    store = feature_store(session)
    network = None
    if session.card.weights is Weights.PRETRAINED or len(store.missing(wanted)):
        torch.manual_seed(session.recipe.seed)
        network = session.build(Weights.PRETRAINED, 0.0, reads_only=session.card.weights is not Weights.PRETRAINED)
        session.shared.append(extract.fill_features(store, network, session.encoded,
                                                    wanted, precision=session.precision,
                                                    report=session.report("rows", "features")))
    else:
        session.shared.append(extract.Spent(own=0.0, whole=store.cost_of(len(wanted)) or 0.0))
    # validation labels, too
    counted = session.recipe.label_budget is not None and session.recipe.budget_counts == LABELS
    head = session.task.solve(store.read_single, session.rows, train=session.train, seed=session.recipe.seed,
                              validation=session.validation[:0] if counted else session.validation)
    session.base_outputs = head.outputs(store.read_single(session.validation))
    if session.card.solved and len(session.validation):
        found = evaluate.scores(session.task, session.base_outputs, session.rows, session.validation)
        session.observer.evaluation(step=0, epoch=0.0, samples=len(session.train),
                                    seconds=time.monotonic() - session.started, **found)
    store.close()
    return head, network


def _checkpointing(session: Session, network: Network) -> None:
    """Recompute activations in the backward pass where the recipe says so, or (auto) where the run would not fit
    otherwise."""
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
        # transformers recomputes in train mode only; the body's dropout is 0, so nothing else changes
        network.keep_in_eval([])
    session.observer.note("Recomputes activations in the backward pass to save memory.")


def _fit(session: Session, inputs: Inputs) -> Trained:
    from core.training import checkpoints, in_turns, recorder, replay, sampler, step_keeper, trainer, watch

    folder = session.run_dir / "checkpoints"
    checkpoint = _checkpoint(session, folder) if session.resume else None
    earlier = checkpoints.elapsed_at(checkpoint) if checkpoint else 0.0
    session.enter(Phase.TRAINING)
    fit = trainer.build(inputs=inputs, recipe=session.recipe, train=session.train, validation=session.validation,
                        folder=folder, observer=session.observer, elapsed=earlier, trackers=session.settings.trackers)
    if session.card.replay:
        fit.replay = replay.Replay(session, inputs)
    fit.add_callback(step_keeper.StepKeeper(inputs.network, run_dir=session.run_dir))
    if session.recipe.track_features:
        fit.add_callback(recorder.FeatureRecorder(inputs, rows=session.recipe.track_features,
                                                  folder=session.run_dir / "features"))
    if session.speaks:
        fit.add_callback(sampler.Sampler(session, inputs))
        fit.penalty = watch.Watch(session, inputs).penalty
    turns = in_turns.InTurns(session.mates_wait) if session.mates_wait else None
    if turns is not None:
        fit.add_callback(turns)
    if checkpoint is None and len(session.validation):  # where it starts from, so that curves begin at step 0
        if session.base_outputs is not None and session.card.weights is Weights.PRETRAINED:
            fit.record(session.base_outputs)  # the base model and its solved head: known from the cached features
        else:
            fit.evaluate()
    finish = methods.get(session.recipe.method).after_training
    if finish is not None:  # a run that goes on starts from the same network as one that begins
        checkpoints.keep_start(folder, inputs.network)
    with attention.wide_backward(session.precision, session.device.kind):
        fit.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if turns is not None and turns.over:
        raise TurnOver
    if finish is not None:
        session.observer.note(finish(inputs.network, checkpoints.start_of(folder)))
    return Trained(steps=fit.state.global_step, samples=fit.samples, best_step=fit.state.best_global_step,
                   earlier_seconds=earlier, validation=fit.best_outputs if finish is None else None)


def _checkpoint(session: Session, folder: Path) -> Path | None:
    """Where to go on from; a note says when the newest checkpoint was not whole."""
    from core.training import checkpoints

    found = checkpoints.newest_whole(folder)
    there = checkpoints.by_step(folder)
    if there and found != there[-1]:
        session.observer.note(f"The checkpoint {there[-1].name} is damaged or incomplete: goes on from "
                              + (f"{found.name}." if found else "the beginning."))
        for path in there[there.index(found) + 1 if found else 0:]:
            shutil.rmtree(path, ignore_errors=True)
    return found


# -- evaluating and saving ---------------------------------------------------------------------------------------------


def _evaluate(session: Session, inputs: Inputs, base_head: SolvedHead | None,
              validation: Outputs | None) -> dict[str, dict[str, Interval]]:
    """Predictions of test, shift and validation rows, and every metric of them with its interval."""
    import pyarrow.parquet as pq

    session.enter(Phase.EVALUATING)
    found: dict[str, dict[str, Interval]] = {}
    for split in (Split.TEST, Split.SHIFT, Split.VALIDATION):
        indices = session.validation if split == Split.VALIDATION else session.rows.of(split)
        if not len(indices):
            continue
        known = validation if split == Split.VALIDATION else None
        if session.card.solved:  # nothing was trained
            known = base_side.said(session, indices)
        kept = _outputs(session, inputs, base_head, indices) if known is None else known
        with files.replacing(session.run_dir / f"predictions-{split}.parquet") as temporary:
            pq.write_table(session.task.predictions(kept, session.rows, indices), temporary)
        found[str(split)] = metrics.measure(session.task.judge(kept, session.rows, indices))
        if split == Split.VALIDATION and (worse := ended_worse.note(session, kept)):
            session.observer.note(worse)
    return found


def _base_metrics(session: Session) -> dict[str, dict[str, Interval]]:
    """The same numbers of the untouched base model, and its predictions in files of their own."""
    import pyarrow.parquet as pq

    splits = {split: session.validation if split is Split.VALIDATION else session.rows.of(split)
              for split in session.base}
    for split, kept in session.base.items():
        with files.replacing(predictions.base_path(session.run_dir, split)) as temporary:
            pq.write_table(session.task.predictions(kept, session.rows, splits[split]), temporary)
    return {str(split): metrics.measure(session.task.judge(kept, session.rows, splits[split]))
            for split, kept in session.base.items()}


def _outputs(session: Session, inputs: Inputs, base_head: SolvedHead | None, indices: np.ndarray) -> Outputs:
    if session.card.solved and base_head is not None:  # the features are cached: no second forward pass
        store = feature_store(session)
        kept = base_head.outputs(store.read_single(indices))
        store.close()
        return kept
    return evaluate.outputs(inputs, indices)


def _estimate(session: Session, recipe: Recipe) -> Any:
    return recipes.estimate(recipe, facts=session.facts, device=session.device, dataset=session.dataset,
                            slots=session.settings.slots)


def _save(session: Session, inputs: Inputs, base_head: SolvedHead | None, metrics: dict[str, dict[str, Interval]],
          trained: Trained) -> Result:
    session.enter(Phase.SAVING)
    feature_paths.forget(session.run_dir)  # of the model that an earlier attempt left
    strength_files.forget(session.run_dir)
    size = artifact.save(session.run_dir / "artifact", task=session.task, network=inputs.network, recipe=session.recipe,
                         base_head=base_head, precision=session.precision)
    artifact.write_json(session.run_dir / "artifact" / artifact.SOURCE_FILE, session.dataset.row_source)
    versions = device_module.versions()
    artifact.write_json(session.run_dir / "environment.json", {
        "schema_version": 1, "versions": versions, "device": session.device, "precision": session.precision,
        "dataset": session.dataset.content_hash,
        "base_model_revision": session.facts.revision, "seed": session.recipe.seed, "threads": torch.get_num_threads()})
    name, since = session._phase or (str(Phase.SAVING), time.monotonic())
    session.phase_seconds[name] = session.phase_seconds.get(name, 0.0) + time.monotonic() - since
    return Result(metrics=metrics, base=_base_metrics(session), trainable_params=trained.trainable_params,
                  total_params=trained.total_params,
                  seconds=0.0, phase_seconds=session.phase_seconds,
                  peak_memory_bytes=0, estimated_memory_bytes=_estimate(session, session.recipe).memory.total,
                  artifact_bytes=size, steps=trained.steps, samples=trained.samples, best_step=trained.best_step,
                  precision=session.precision, device=session.device.name, versions=versions,
                  dataset_hash=session.dataset.content_hash, shift_made=session.dataset.shift_called,
                  labels_used={"train": len(session.train), "validation": len(session.validation)},
                  model_revision=session.facts.revision)
