"""Every recipe field a person may turn: its words, its limits, and the check that holds them.

Pages and the command line draw themselves from `KNOBS`; `validate` re-checks in the core what a widget only suggests.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core import tasks
from core.domain.dataset import Task
from core.domain.freeze import HEAD
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import ADAMW, PAGED_ADAMW, TAUGHT_TOKENS, HeadInit, Recipe
from core.domain.targets import SPECS
from core.errors import PatternError, RecipeError
from core.models import methods


@dataclass(frozen=True, kw_only=True)
class Knob:
    """One adjustable recipe field."""

    field: str
    """Dotted name inside the recipe, e.g. `lora.rank`."""
    label: str
    help: str
    """One sentence that a workshop participant understands."""
    kind: str
    """`integer`, `number`, `rate` (a number to show on a log scale), `choice`, `bool`, or `pattern` (an option or a
    regular expression).
    """
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    options: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    """Options of recipes made before: still valid, no longer offered."""
    optional: bool = False
    """May be None (no limit)."""
    advanced: bool = True


LEAST_EPOCHS = 0.001
KNOBS: tuple[Knob, ...] = (
    Knob(field="epochs", label="Epochs", kind="number", minimum=LEAST_EPOCHS, maximum=200, step=0.5, advanced=False,
         help="How many times training goes through all training rows."),
    Knob(field="batch_size", label="Batch size", kind="integer", minimum=1, maximum=512, step=1, advanced=False,
         help="Rows looked at together before each update; larger needs more memory."),
    Knob(field="gradient_accumulation", label="Batches a step", kind="integer", minimum=1, maximum=1024, step=1,
         help="Gradients of so many batches are added up before each update: a larger step in the "
              "memory of one batch."),
    Knob(field="taught", label="What is taught", kind="choice", options=("auto", "everything"),
         help="auto teaches the answers of conversations and everything of passages; everything teaches prompts, too."),
    Knob(field="forgetting_bound", label="Forgetting bound", kind="number", minimum=0.0, maximum=10.0, step=0.01,
         optional=True,
         help="Keeps the best checkpoint whose loss on unrelated texts rose by no more than this (nats a token); empty "
              "keeps the best of all."),
    Knob(field="max_length", label="Text length", kind="integer", minimum=0, maximum=32768, step=32, advanced=False,
         help="Tokens (word pieces) read of each text; what lies beyond is cut. 0 for pictures."),
    Knob(field="learning_rate", label="Learning rate", kind="rate", minimum=1e-7, maximum=1.0, advanced=False,
         help="Size of each update of the body or the adapters; too high forgets, too low learns nothing."),
    Knob(field="head_learning_rate", label="Head learning rate", kind="rate", minimum=1e-7, maximum=1.0,
         help="Size of each update of the new last layer."),
    Knob(field="label_budget", label="Label budget", kind="integer", minimum=2, maximum=10_000_000, step=1,
         optional=True, advanced=False,
         help="Labelled rows to use in all, for training and validation together, each class in its share; "
              "empty means all."),
    Knob(field="seed", label="Seed", kind="integer", minimum=0, maximum=2**31 - 1, step=1,
         help="Start value of everything random; the same seed repeats the run, another shows how much is luck."),
    Knob(field="warmup_ratio", label="Warm-up", kind="number", minimum=0.0, maximum=0.9, step=0.05,
         help="Share of the steps in which the learning rate rises from zero."),
    Knob(field="weight_decay", label="Weight decay", kind="number", minimum=0.0, maximum=1.0, step=0.01,
         help="Pulls weights towards zero a little at each step, against memorising."),
    Knob(field="optimizer", label="Optimiser", kind="choice", options=(ADAMW, PAGED_ADAMW), former=("auto",),
         help="paged_adamw_8bit keeps its notes on each weight in 8 bits and moves them out of a full GPU: less "
              "memory; GPUs only."),
    Knob(field="max_grad_norm", label="Gradient limit", kind="number", minimum=0.01, maximum=100.0, step=0.1,
         help="Longer gradients are shortened to this length, so that one odd batch cannot wreck the weights."),
    Knob(field="dropout", label="Dropout", kind="number", minimum=0.0, maximum=0.9, step=0.05,
         help="Share of activations switched off at random while training, against memorising."),
    Knob(field="pooling", label="Pooling", kind="choice", options=("auto", "mean", "cls", "last", TAUGHT_TOKENS),
         help="How the vectors of all tokens become one: auto takes what the base model was trained with. A language "
              "model is not trained on that vector; it is what the Features page compares: the mean over the whole "
              "text (auto), or over the taught tokens alone (taught)."),
    Knob(field="head_init", label="Head starts from", kind="choice", options=tuple(map(str, HeadInit)),
         help="probe starts from the solved linear probe (better and nearly free), random from noise."),
    Knob(field="precision", label="Number format", kind="choice", options=("auto", "fp32", "bf16", "fp16"),
         help="auto takes the format that was measured to be faster on this device."),
    Knob(field="gradient_checkpointing", label="Recompute activations", kind="choice", options=("auto", "on", "off"),
         help="Forgets activations and computes them again when needed: less memory, about a third more time."),
    Knob(field="early_stopping_patience", label="Patience", kind="integer", minimum=0, maximum=1000, step=1,
         help="Stop after this many validations without improvement; 0 never stops early."),
    Knob(field="evaluations_per_epoch", label="Validations an epoch", kind="integer", minimum=1, maximum=10_000, step=1,
         help="How often the validation rows are scored while training."),
    Knob(field="augmentation", label="Augmentation", kind="choice", options=("off", "light", "strong"), advanced=False,
         help="Random crops and colours (strong: also turned, mirrored, partly hidden), so that no picture is seen "
              "twice alike."),
    Knob(field="batch_norm", label="BatchNorm statistics", kind="choice", options=("stored", "batch"),
         help="stored keeps the pretrained averages (better with few pictures), batch replaces them by those of the "
              "training batches."),
    Knob(field="track_features", label="Rows replayed", kind="integer", minimum=0, maximum=2000, step=50,
         help="Rows whose features are recorded at about seven steps, to replay on the Features page how training "
              "moved them; 0 is off."),
    Knob(field="lora.rank", label="LoRA rank", kind="integer", minimum=1, maximum=1024, step=1, advanced=False,
         help="Width of the small trained matrices; more can express more and costs more."),
    Knob(field="lora.alpha", label="LoRA alpha", kind="number", minimum=0.01, maximum=4096.0, step=1.0,
         help="Strength of the adapter: its update is multiplied by alpha / rank."),
    Knob(field="lora.dropout", label="LoRA dropout", kind="number", minimum=0.0, maximum=0.9, step=0.05,
         help="Share of the adapter's inputs switched off at random while training."),
    Knob(field="lora.targets", label="LoRA targets", kind="pattern", options=SPECS,
         help="Which layers get an adapter: attention, mlp, all linear layers, or a regular expression over layer "
              "names."),
    Knob(field="quantization.type", label="4-bit format", kind="choice", options=("nf4", "fp4"),
         help="nf4 spaces its 16 values as normally distributed weights need them; fp4 is a plain 4-bit float."),
    Knob(field="quantization.double", label="Double quantisation", kind="bool",
         help="Also compresses the scale factors: saves about 0.4 bit a weight."),
    Knob(field="freeze.layer_decay", label="Rate by depth", kind="number", minimum=0.1, maximum=1.0, step=0.05,
         help="Learning rate of each block as a share of the block above; 1 is the same everywhere."),
)

EFFORTS = ("quick", "normal", "thorough")


def knob(field: str) -> Knob:
    """The knob of that dotted field; KeyError when there is none."""
    return {k.field: k for k in KNOBS}[field]


def for_model(fields: Iterable[str], facts: ModelFacts, task: Task | None = None) -> tuple[str, ...]:
    """Those of the dotted fields that have an effect on this model (on this task, where it is known); fields that are
    no knobs (`freeze`) stay."""
    wanted = facts.tasks if task is None else (task,)
    without = {k.field for k in KNOBS if not any(tasks.card(each).uses(k.field) for each in wanted)}
    if not facts.has_batch_norm:
        without.add("batch_norm")
    return tuple(field for field in fields if field not in without)


def value(recipe: Recipe, field: str) -> Any:
    """The value of a dotted field, e.g. `lora.rank`."""
    target: Any = recipe
    for part in field.split("."):
        target = getattr(target, part)
    return target


def with_value(recipe: Recipe, field: str, new: Any) -> Recipe:
    """A copy of the recipe with one dotted field changed."""
    outer, _, inner = field.partition(".")
    if not inner:
        return recipe.replace(**{outer: new})
    return recipe.replace(**{outer: dataclasses.replace(getattr(recipe, outer), **{inner: new})})


def problems(recipe: Recipe, facts: ModelFacts | None = None) -> list[str]:
    """Everything wrong with a recipe, one sentence each; empty when it may run."""
    found = [text for k in KNOBS if (text := _limit(k, value(recipe, k.field)))]
    if recipe.effort not in EFFORTS:
        found.append(f"Effort is {recipe.effort!r}; it must be one of {', '.join(EFFORTS)}.")
    named = {"The dataset": recipe.dataset, "The base model": recipe.base_model, "The method": recipe.method}
    found += [f"{label} is empty." for label, text in named.items() if not text]
    if facts is not None:
        found += _against(recipe, facts)
    return found


def validate(recipe: Recipe, facts: ModelFacts | None = None) -> None:
    """Raise RecipeError naming every limit that the recipe breaks. facts: also check against this model."""
    found = problems(recipe, facts)
    if found:
        raise RecipeError("This recipe cannot run as it is." if len(found) > 1 else found[0],
                          why=" ".join(found) if len(found) > 1 else "Thaw checks every value before a run starts.",
                          remedy="Correct the values named and submit again.")


def follows_batches(recipe: Recipe, facts: ModelFacts) -> bool:
    """Whether BatchNorm layers compute with the statistics of each training batch: from scratch, or where the recipe
    says so.
    """
    card = methods.card_of(recipe.method)
    chosen = recipe.batch_norm == "batch" and "batch_norm" in card.knobs
    return facts.has_batch_norm and (card.weights is Weights.FRESH or chosen)


def _limit(k: Knob, current: Any) -> str | None:
    """The sentence for a value outside its knob's limits, or None."""
    if current is None:
        return None if k.optional else f"{k.label} is missing."
    if k.kind == "choice":
        known = current in (*k.options, *k.former)
        return None if known else f"{k.label} is {current!r}; it must be one of {', '.join(k.options)}."
    if k.kind == "bool":
        return None if isinstance(current, bool) else f"{k.label} must be true or false, not {current!r}."
    if k.kind == "pattern":
        given = isinstance(current, str) and current
        return None if given else f"{k.label} is empty; use one of {', '.join(k.options)} or a pattern."
    number = isinstance(current, (int, float)) and not isinstance(current, bool) and math.isfinite(current)
    if not number or (k.kind == "integer" and current != int(current)):
        return f"{k.label} must be a {'whole number' if k.kind == 'integer' else 'number'}, not {current!r}."
    if (k.minimum is not None and current < k.minimum) or (k.maximum is not None and current > k.maximum):
        return f"{k.label} is {current:g}; it must lie between {k.minimum:g} and {k.maximum:g}."
    return None


def _against(recipe: Recipe, facts: ModelFacts) -> list[str]:
    """What a recipe asks of a model that the model cannot do."""
    found = []
    if recipe.task not in facts.tasks:
        able = ", ".join(task.value for task in facts.tasks)
        found.append(f"The base model {facts.id} does not do {recipe.task.value}; it does {able}.")
    if facts.max_length:
        if recipe.max_length > facts.max_length:
            found.append(f"Text length is {recipe.max_length} tokens; {facts.id} reads at most {facts.max_length}.")
        if recipe.max_length < 4:
            found.append(f"Text length is {recipe.max_length} tokens; at least 4 are needed.")
    poolings = ("auto", facts.pooling, *(["mean"] if facts.pooling == "cls" else []))
    if facts.image_size and recipe.pooling not in poolings:
        found.append(f"Pooling is {recipe.pooling!r}, which is for texts; {facts.id} pools pictures by "
                     f"{facts.pooling!r}. Choose auto.")
    if recipe.pooling == TAUGHT_TOKENS and recipe.task.labelled:
        found.append(f"Pooling is {TAUGHT_TOKENS!r}; only rows of a language model have taught tokens. Choose auto.")
    method = methods.REGISTRY.get(recipe.method)
    if method and recipe.batch_size < 2 and follows_batches(recipe, facts):
        found.append(f"Batch size is 1; the BatchNorm layers of {facts.id} need at least two rows for the "
                     "statistics of a batch.")
    unknown = [name for name in recipe.freeze.frozen if name not in facts.block_names]
    if unknown:
        found.append(f"The freeze plan names {', '.join(unknown)}; "
                     f"the blocks of {facts.id} are {', '.join(facts.block_names[:-1])}.")
    own = method is not None and recipe.freeze == method.card.default_plan(facts.block_names)
    if HEAD in recipe.freeze.frozen and tasks.card(recipe.task).new_head and not own:
        found.append("The freeze plan names the head, which always trains.")
    elif HEAD in recipe.freeze.frozen and facts.tied_head and "embeddings" not in recipe.freeze.frozen:
        found.append(f"The freeze plan names the head; that of {facts.id} is its embedding, and is frozen with it.")
    own_head = not tasks.card(recipe.task).new_head
    if method and own_head and method.card.needs_freeze_plan and not method.card.adapter:
        open_ones = [name for name in facts.block_names if not recipe.freeze.is_frozen(name)
                     and not (name == HEAD and facts.tied_head)]
        if not open_ones and not recipe.freeze.train_patterns:
            found.append("The freeze plan freezes everything, so that nothing would train.")
    if method and method.card.adapter:
        try:
            method.card.adapter.layers(recipe, facts.blocks)
        except PatternError as error:
            found.append(f"{error.what} {error.why}")
    return found
