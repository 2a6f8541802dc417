"""What every method says of itself. Importing this (or the registry) needs no torch.

No field of a card has a default: a method that leaves one out is an error when its file is imported, no silent choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.domain.device import Device
from core.domain.freeze import FreezePlan
from core.domain.model import Block, LinearLayer, ModelFacts, Weights
from core.domain.recipe import HeadInit, Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from core.models.network import Network


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Default learning rates of AdamW; a card gives the reason beside each number."""

    body: float
    """Of the body or the adapters of a transformer."""
    convolutions: float
    """The same for a network with BatchNorm."""
    head: float
    quick: float
    """Factor on a transformer's rate at quick effort, with about a tenth of the usual steps."""


@dataclass(frozen=True, kw_only=True)
class Thawing:
    """What thaws from the top down while it trains; until then it is frozen, and nothing of it is cached."""

    groups: int
    """At most so many groups of neighbouring blocks, as equal as can be; the uppermost trains from the first step."""
    by: float
    """Share of the steps after which all have thawed, one after another in equal stretches."""
    decay: float
    """Learning rate of a group = that of the group above times this."""


SOLVED_HEAD_RATE = 2e-4
"""The body trains, the head starts from the solved probe: near its optimum, it moves little (Kumar et al. 2022)."""


class Adapter(Protocol):
    """Small parts that train beside frozen layers."""

    kept: float
    """Activations that it keeps for the backward pass, as a share of what its block keeps."""
    copies: float
    """What it makes anew of each layer and holds until the backward pass, or holds beside it, in sizes of its weight.
    """
    scales: bool
    """Whether its update to a weight is a sum of low rank, so that scaling it turns the whole change up or down."""

    def layers(self, recipe: Recipe, blocks: Sequence[Block]) -> list[LinearLayer]:
        """Layers that get one. Raises PatternError, listing candidates, when what the recipe asks for matches none."""

    def parameters(self, recipe: Recipe, layer: LinearLayer) -> int:
        """Number of parameters that train beside this layer."""

    def merged(self, layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
        """The frozen fp32 `weight` of a wrapped layer with what the adapter learned folded in, of the same shape."""

    def merged_bias(self, layer: nn.Module, bias: torch.Tensor) -> torch.Tensor:
        """The same of its bias; most adapters leave it alone."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """All that others ask of a method: defaults, estimates, advice, training, analysis and pages read it here."""

    name: str
    label: str
    summary: str
    """One sentence for a workshop participant."""
    own_head: str | None
    """What it is where the base model's own output layer stays (language models): one sentence, empty where `summary`
    says it; None where it does not apply."""
    own_head_only: bool
    """Whether it needs that layer, and applies to no task with a new head."""
    advice: str
    """How advice to save memory names it, e.g. `Use LoRA`."""
    colour_index: int
    """Place in the arm palette: a method keeps its colour everywhere."""
    everyday: bool
    """Whether the Train page shows it at once; the others wait in a fold."""
    preselected: bool
    """Whether the Train page ticks it at first."""
    knobs: tuple[str, ...]
    """Recipe fields it uses, dotted; the dial leaves the others alone."""
    weights: Weights
    """How the body is held."""
    needs_freeze_plan: bool
    """Whether the recipe's freeze plan is in force; else `default_plan` always is."""
    default_plan: Callable[[Sequence[str]], FreezePlan]
    """Block names -> the plan that the dial gives."""
    adapter: Adapter | None
    """What it trains beside frozen weights; None where it trains the weights themselves."""
    solved: bool
    """Whether the head is solved in closed form instead of trained step by step."""
    head_first: float
    """Share of the steps in which the head trains alone, starting from the solved probe; the body's rate then rises
    as slowly again.
    """
    thawing: Thawing | None
    """How blocks thaw one after another; None where all that trains does so from the first step."""
    pull: float
    """Strength alpha of a pull of what trains of the base model towards where it started: alpha · (W − W_start) is
    added to each gradient, in the place of its weight decay; 0 where there is none."""
    to_base: float
    """Strength beta of a penalty on each taught token: beta · KL(base ‖ tuned), in nats, of what the base model (the
    same network with its adapters off) and the tuned one say next; 0 where there is none."""
    replay: float
    """Share of each step, of its rows and of its loss, that general texts have (`core.data.general`), which are no rows
    of the dataset; 0 where there are none."""
    contrast: float
    """Share lambda of the loss that pulls rows of one class together (`core.models.contrast`), the rest is the task's;
    0 where there is none. Such a method needs rows with classes."""
    rates: Rates
    passes: float
    """Forward passes that a step costs: itself, backward to the inputs, backward to the weights; 0 without steps."""
    lighter: tuple[str, ...]
    """Methods to turn to where memory is short."""

    def plan(self, recipe: Recipe, blocks: Sequence[str]) -> FreezePlan:
        """The freeze plan in force."""
        return recipe.freeze if self.needs_freeze_plan else self.default_plan(blocks)

    def solves_head(self, recipe: Recipe) -> bool:
        """Whether the head is solved on the base model's features before anything trains; fresh weights have none."""
        chosen = recipe.head_init == HeadInit.PROBE or "head_init" not in self.knobs  # else it is no choice
        return self.solved or self.head_first > 0 or (chosen and self.weights is not Weights.FRESH)


AfterTraining = Callable[["Network", Mapping[str, "torch.Tensor"]], str]
"""(network on the step that is kept, its `trained_state` as training began) -> a sentence on what was done in place."""


class Method(Protocol):
    """A way to make a base model trainable. One file each; `REGISTRY` names them all."""

    card: Card

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        """None when it applies, else the reason why it does not."""

    def note(self, device: Device | None = None) -> str | None:
        """Something to know on this device, e.g. that QLoRA saves memory, not time, on a CPU."""

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        """Set up gradients, eval mode and adapters in place."""

    @property
    def after_training(self) -> AfterTraining | None:
        """What it does with the trained weights before they are judged and saved; None where it leaves them be."""


NO_NEW_HEAD = "there is no new head to begin with: a language model keeps its own output layer"
"""Why a method does not apply where the base model's own output layer stays."""

NO_CLASSES = "these rows have no classes that could be pulled together"
"""Why a method does not apply where rows carry no labels."""

NO_OWN_HEAD = "a classifier's head is new: the base model says nothing by itself that could be kept"
"""Why a method does not apply where there is no output layer of the base model's own."""

TRAINING_KNOBS = (
    "epochs", "batch_size", "gradient_accumulation", "taught", "forgetting_bound", "learning_rate",
    "head_learning_rate", "warmup_ratio", "weight_decay", "optimizer", "max_grad_norm", "max_length", "augmentation",
    "batch_norm", "dropout", "precision", "gradient_checkpointing", "early_stopping_patience", "evaluations_per_epoch",
    "head_init", "pooling", "track_features")
"""Recipe fields of every method that trains step by step."""


class Always:
    """Applies to every model that it was tried on, and has nothing to warn of."""

    card: Card

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        return (facts.refusals or {}).get(self.card.name)

    def note(self, device: Device | None = None) -> str | None:
        return None

    @property
    def after_training(self) -> AfterTraining | None:
        return None
