"""One optimiser step of a recipe, taken for real before a long run: what it needs in memory, and how long it takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import SaveStrategy

from core.domain.dataset import Split
from core.domain.model import Weights
from core.domain.one_step import OneStep
from core.domain.recipe import Recipe
from core.domain.run import Observer, Phase
from core.errors import RecipeError
from core.features import extract
from core.models import attention
from core.planning import recipes
from core.settings import Settings
from core.tasks.base import Unit
from core.training import execute, prefix, trainer
from core.training.inputs import Inputs, LengthBuckets
from core.training.peak_memory import PeakMemory
from core.training.resolved import resolved
from core.training.session import Session, prepare

TIMES = 2
"""The first step makes the optimiser's moments and fills buffers; the second is one of a run."""


def take(recipe: Recipe, *, settings: Settings, workspace: str, folder: Path, observer: Observer) -> OneStep | None:
    """Load, and train on the longest rows of the training split for one step, twice; nothing is kept of it.

    What a run does before, that may take as much memory, is done too: loading, one batch of what is only read. None
    where it was stopped. Raises RecipeError for methods that take no steps, and what a run raises.
    """
    recipe = resolved(recipe, run_dir=folder, settings=settings)
    session = Session(recipe=recipe, settings=settings, workspace=workspace, run_dir=folder, observer=observer,
                      resume=False)
    if session.card.solved:
        raise RecipeError(f"{session.card.label} takes no step that could be tried.",
                          why="Nothing of it is trained step by step.", remedy="Start it: it takes one pass.")
    prepare(session)
    execute.import_libraries(session)
    rows = longest(session)
    with PeakMemory(session.device.kind) as peak:
        _published_pass(session)
        session.enter(Phase.CACHING)
        inputs = execute.to_train(session, session.build(session.card.weights,
                                                           execute.body_dropout(session)))
        prefix.cache(session, inputs, rows=rows)
        _read(session, inputs)
        seconds = _steps(session, inputs, rows)
    return None if observer.should_stop() or len(seconds) < TIMES else _told(session, inputs, rows, seconds[-1],
                                                                             peak.bytes)


def longest(session: Session) -> np.ndarray:
    """Indices of the training rows of the largest step: as many as a step takes, the longest first."""
    most = session.recipe.batch_size * session.recipe.gradient_accumulation
    return session.train[np.argsort(-session.encoded.lengths[session.train], kind="stable")][:most]


def _published_pass(session: Session) -> None:
    """A head is solved from features of the published weights before others are trained: one batch of that."""
    card = session.card
    if not (session.task.card.new_head and card.solves_head(session.recipe)) or card.weights is Weights.PRETRAINED:
        return
    session.enter(Phase.CACHING)
    network = session.build(Weights.PRETRAINED, 0.0, reads_only=True)
    largest = extract.by_length(session.encoded, session.train)[0]
    with torch.no_grad(), extract.autocast(session.precision, network.device):
        network.features(**extract.to_device(session.encoded.batch(largest), network.device))


def _read(session: Session, inputs: Inputs) -> None:
    """The largest batch of rows that a run is judged on; without gradients."""
    from core.training import evaluate

    judged = np.concatenate([session.validation, session.rows.of(Split.TEST), session.rows.of(Split.SHIFT)])
    if len(judged) and inputs.runner is None:
        evaluate.outputs(inputs, extract.by_length(session.encoded, judged)[0])


def _steps(session: Session, inputs: Inputs, rows: np.ndarray) -> list[float]:
    """Seconds of each time that the step was taken."""
    session.enter(Phase.TRAINING)
    recipe = session.recipe.replace(epochs=float(TIMES), early_stopping_patience=0)
    fit = trainer.build(inputs=inputs, recipe=recipe, train=rows, validation=rows[:0],
                        folder=session.run_dir / "checkpoints", observer=session.observer)
    fit.args.save_strategy = SaveStrategy.NO
    clock = _Clock(session.device.kind)
    fit.add_callback(clock)
    with attention.wide_backward(session.precision, session.device.kind):
        fit.train()
    return clock.seconds


def _told(session: Session, inputs: Inputs, rows: np.ndarray, step_seconds: float, peak_bytes: int) -> OneStep:
    planned = recipes.estimate(session.recipe, facts=session.facts, device=session.device, dataset=session.dataset,
                               slots=session.settings.slots)
    by_token = session.task.card.unit is Unit.TOKEN
    targets = session.task.targets(session.rows, session.encoded, rows)
    training = planned.steps * step_seconds * _mean_share(session, rows)
    return OneStep(
        method=session.recipe.method, peak_memory_bytes=peak_bytes, estimated_memory_bytes=planned.memory.total,
        step_seconds=step_seconds, estimated_step_seconds=planned.training_seconds / max(1, planned.steps),
        steps=planned.steps, training_seconds=training,
        seconds=planned.seconds - planned.training_seconds + training, estimated_seconds=planned.seconds,
        rows=len(rows), tokens=_read_tokens(session, _batches(session, rows)) if by_token else 0,
        taught=session.task.weight(targets) if session.speaks else None,
        precision=session.precision, device=session.device.name)


def _mean_share(session: Session, rows: np.ndarray) -> float:
    """What a mean step of an epoch reads against the largest one."""
    recipe = session.recipe
    batches = LengthBuckets(session.train, session.encoded.lengths, batch_size=recipe.batch_size, seed=recipe.seed)
    every = [np.asarray(batch) for batch in batches]
    steps = -(-len(every) // recipe.gradient_accumulation)
    largest = _read_tokens(session, _batches(session, rows))
    return min(1.0, _read_tokens(session, every) / steps / max(1, largest))


def _batches(session: Session, rows: np.ndarray) -> list[np.ndarray]:
    """The batches of that step."""
    size = session.recipe.batch_size
    return [rows[start:start + size] for start in range(0, len(rows), size)]


def _read_tokens(session: Session, batches: list[np.ndarray]) -> int:
    """Tokens of these batches with their padding; rows, for pictures."""
    width = getattr(session.encoded, "width", None) if session.encoded.ragged else None
    return sum(len(batch) * (width(batch) if width else 1) for batch in batches if len(batch))


class _Clock(TrainerCallback):
    """Seconds from the end of what came before to the end of each step."""

    def __init__(self, device: str) -> None:
        self.device, self.seconds, self._since = device, list[float](), 0.0

    def _now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.monotonic()

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                      **kwargs: Any) -> None:
        self._since = self._now()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.seconds.append(self._now() - self._since)
