"""One dial, effort, and everything that follows from it: the default recipe of each method.

Each number's reason stands beside it; learning rates are the methods' own (`core.models.methods`). Sources: BERT
(Devlin et al. 2019, appendix A.3: 2-4 epochs, batch 16 or 32); LoRA (Hu et al. 2021) and QLoRA (Dettmers et al. 2023:
adapters on all linear layers); "On the Stability of Fine-tuning BERT" (Mosbach et al. 2021: few rows need more epochs
and a warm-up, not another rate); "Fine-Tuning can Distort Pretrained Features" (Kumar et al. 2022: start from the
probe's head, then small steps).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from core import tasks
from core.domain import freeze
from core.domain.dataset import Task
from core.domain.device import Device
from core.domain.freeze import FreezePlan
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import ADAMW, PAGED_ADAMW, HeadInit, LoraSpec, Recipe, batches_an_epoch
from core.errors import RecipeError
from core.models import methods
from core.models.methods import Card
from core.planning.knobs import EFFORTS, KNOBS, LEAST_EPOCHS, Knob, knob, problems, validate, value, with_value

__all__ = ["EFFORTS", "KNOBS", "Knob", "defaults", "knob", "problems", "token_need", "validate", "value", "with_value"]


@dataclass(frozen=True, kw_only=True)
class _Level:
    """What one position of the dial means before method and data bend it."""

    epochs: float
    length: int
    """Most tokens a text."""
    minimum_steps: int
    """With few rows, more epochs until so many updates are made (Mosbach et al.)."""
    rank: int
    patience: int
    """0 = off: with one or three epochs there is nothing to save by stopping."""
    evaluations: int
    """Validations an epoch."""
    tracked: int
    """Rows whose features are recorded while training, to replay how they moved."""
    most_steps: int | None = None
    """Updates at which a run ends, however many rows there are."""


_LEVELS: dict[str, _Level] = {
    # A workshop's patience: one pass over the rows, the first 64 tokens; five methods in under 8 minutes on 2 cores.
    # 64 rows are enough to replay and cost a run about 4 s.
    "quick": _Level(epochs=1.0, length=64, minimum_steps=40, rank=8, patience=0, evaluations=2, tracked=64),
    # Accuracy first within a coffee break: 3 epochs is the middle of BERT's 2-4, 128 tokens hold a paragraph.
    "normal": _Level(epochs=3.0, length=128, minimum_steps=100, rank=8, patience=0, evaluations=2, tracked=300),
    # Until validation stops improving: long texts, twice the rank, the best checkpoint wins.
    "thorough": _Level(epochs=10.0, length=256, minimum_steps=200, rank=16, patience=5, evaluations=2, tracked=300),
}

_OWN_HEAD_LEVELS: dict[str, _Level] = {
    # Language models. 60 steps of 4 x 256 tokens move held-out tales by 0.28 nats in 3 to 4 minutes on 2 cores; a
    # replay of 64 rows of 256 tokens would take as long again.
    "quick": _Level(epochs=1.0, length=256, minimum_steps=40, rank=16, patience=0, evaluations=2, tracked=0,
                    most_steps=60),
    # Two passes: a third is remembered rather than learned by all but adapters. Some 20 minutes at most.
    "normal": _Level(epochs=2.0, length=256, minimum_steps=150, rank=16, patience=0, evaluations=4, tracked=32,
                     most_steps=400),
    # The best checkpoint of three passes over texts of twice the length.
    "thorough": _Level(epochs=3.0, length=512, minimum_steps=300, rank=16, patience=5, evaluations=6, tracked=64),
}
"""Where the base model's own output layer goes on being trained: a token is a lesson, so that a row holds hundreds."""

_MOST_EPOCHS = 20.0
"""Mosbach et al. train small sets for 20 epochs; beyond that a small set is only memorised."""

def token_need(mean_length: float) -> int:
    """Tokens that hold nearly all texts of this mean length (characters), a multiple of 32.

    English has about 4 characters a token; twice the mean covers the long half. 0 (unknown length) gives 0.
    """
    return 32 * math.ceil(mean_length / 4 * 2 / 32)


def defaults(*, dataset: str, task: Task, base_model: str, method: str, effort: str = "normal", seed: int = 0,
             train_rows: int | None = None, mean_length: float = 0.0, facts: ModelFacts | None = None,
             device: Device | None = None) -> Recipe:
    """The recipe that the effort dial gives for one method on one dataset.

    train_rows: training rows there are (or the label budget); mean_length: mean characters of a text (0 = unknown).
    facts: the inspected base model; needed by methods whose plan names blocks, and to cap the text length. device:
    where it will run, where that is known.
    Raises RecipeError for an unknown effort or method, and for a plan that names blocks without facts.
    """
    if effort not in _LEVELS:
        raise RecipeError(f"There is no effort {effort!r}.", why=f"The dial has: {', '.join(EFFORTS)}.",
                          remedy="Choose one of these.")
    card, what = methods.card_of(method), tasks.card(task)
    level = (_LEVELS if what.new_head else _OWN_HEAD_LEVELS)[effort]
    rate = _rate(card, effort, convolutions=facts is not None and facts.has_batch_norm) * what.rate_share
    batch = _batch_size(what, train_rows, least=8 if facts is not None and facts.has_batch_norm else 4)
    epochs = _epochs(level, batch, train_rows)
    paged = card.weights is Weights.FOUR_BIT and device is not None and device.kind == "cuda"
    solvable = card.weights is not Weights.FRESH and what.new_head
    return Recipe(
        dataset=dataset, task=task, base_model=base_model, method=method, effort=effort, seed=seed,
        freeze=_plan(card, facts),
        epochs=epochs,
        batch_size=batch,
        learning_rate=rate,
        head_learning_rate=card.rates.head if what.new_head else rate,  # its own head is pretrained like the rest
        # Of language models QLoRA is as it was published; arms of classifiers differ by their method alone.
        optimizer=PAGED_ADAMW if paged and not what.new_head else ADAMW,
        max_length=_length(level, what, mean_length, facts),
        # Trained long enough to memorise, the body gets the dropout it was pretrained with.
        dropout=0.1 if effort == "thorough" and "dropout" in card.knobs else 0.0,
        # A solved head is worth more than three epochs of stepping (0.890 -> 0.958 with LoRA).
        head_init=HeadInit.PROBE if solvable else HeadInit.RANDOM,
        early_stopping_patience=level.patience,
        # As many validations a run as the level means, however many epochs few rows need.
        evaluations_per_epoch=max(1, round(level.evaluations * level.epochs / epochs)),
        # Augmentation makes the frozen prefix uncacheable, so only the patient get it.
        augmentation="light" if effort == "thorough" and what.uses("augmentation") and "augmentation" in card.knobs
        else "off",
        # Eight looks at 300 rows cost a few seconds; what is solved in one go has no steps.
        track_features=level.tracked if "track_features" in card.knobs else 0,
        # alpha = 2 x rank keeps the update's strength the same when the rank changes.
        lora=LoraSpec(rank=level.rank, alpha=2.0 * level.rank, targets="all-linear"),
    )


def shortened(recipe: Recipe, *, updates: int, train_rows: int) -> Recipe:
    """The recipe with no more epochs than make so many updates."""
    most = _epochs_of(updates, batches_an_epoch(train_rows, recipe.batch_size))
    return recipe if recipe.epochs <= most else recipe.replace(epochs=most)


def _epochs_of(updates: int, batches: int) -> float:
    return max(LEAST_EPOCHS, math.floor(updates / batches * 1000) / 1000)


def _rate(card: Card, effort: str, *, convolutions: bool) -> float:
    if convolutions:  # on stored BatchNorm statistics a large step is not taken back by the next layer
        return card.rates.convolutions
    return card.rates.body * (card.rates.quick if effort == "quick" else 1.0)


def _batch_size(task: tasks.Card, train_rows: int | None, *, least: int) -> int:
    """The task's number of rows; fewer where that leaves less than ten updates an epoch.

    least: 4, or 8 for BatchNorm, whose statistics of fewer rows are mostly noise.
    """
    batch = task.batch_rows
    while train_rows is not None and batch > least and train_rows < 10 * batch:
        batch //= 2
    return batch


def _epochs(level: _Level, batch: int, train_rows: int | None) -> float:
    """The level's epochs, or as many as reach its least number of updates, up to 20; no more than make its most."""
    if not train_rows:
        return level.epochs
    batches = batches_an_epoch(train_rows, batch)
    epochs = float(min(_MOST_EPOCHS, max(level.epochs, math.ceil(level.minimum_steps / batches))))
    if level.most_steps and epochs * batches > level.most_steps:
        return _epochs_of(level.most_steps, batches)
    return epochs


def _length(level: _Level, task: tasks.Card, mean_length: float, facts: ModelFacts | None) -> int:
    """Tokens a row: the level's, unless the texts need less or the model reads less; 0 for pictures."""
    if not task.uses("max_length"):
        return 0
    limits = [level.length]
    if mean_length > 0 and task.new_head:  # where answers are learned, a cut is a loss
        limits.append(max(32, token_need(mean_length)))
    if facts is not None and facts.max_length > 0:
        limits.append(facts.max_length)
    return min(limits)


def _plan(card: Card, facts: ModelFacts | None) -> FreezePlan:
    """The method's own plan; one that is in force whatever the recipe says is left open while the blocks are not
    known.
    """
    if facts is not None:
        return card.default_plan(facts.block_names)
    if card.needs_freeze_plan and card.default_plan is not freeze.none:
        raise RecipeError("A partly frozen run needs to know the blocks of its base model.",
                          why="This base model was not inspected yet.",
                          remedy="Fetch the base model first; then choose what to freeze.")
    return FreezePlan()
