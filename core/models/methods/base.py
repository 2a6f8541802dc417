"""What every method says of itself. Importing this (or the registry) needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.domain.device import Device
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe

if TYPE_CHECKING:
    from core.models.network import Network


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a page and the command line show of a method."""

    name: str
    label: str
    summary: str
    """One sentence for a workshop participant."""
    colour_index: int
    """Place in the arm palette: a method keeps its colour everywhere."""
    needs_freeze_plan: bool = False
    """Whether the freeze grid matters to it."""
    knobs: tuple[str, ...] = ()
    """Recipe fields it uses, dotted."""
    weights: str = "pretrained"
    """How the body is loaded: `pretrained`, `fresh` or `4bit`."""
    adapter: bool = False
    """Whether it trains adapters beside frozen weights."""
    solved: bool = False
    """Whether the head is solved in closed form instead of trained step by step."""
    head_first: float = 0.0
    """Share of the steps in which the head trains alone, starting from the solved probe; the body's rate then rises as slowly again."""


class Method(Protocol):
    """A way to make a base model trainable. One file each; `REGISTRY` names them all."""

    card: Card

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        """None when it applies, else the reason why it does not."""

    def note(self, device: Device | None = None) -> str | None:
        """Something to know on this device, e.g. that QLoRA saves memory, not time, on a CPU."""

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        """Set up gradients, eval mode and adapters in place."""


TRAINING_KNOBS = ("epochs", "batch_size", "learning_rate", "head_learning_rate", "warmup_ratio", "weight_decay", "optimizer",
                  "max_grad_norm", "max_length", "augmentation", "batch_norm", "dropout", "precision", "gradient_checkpointing",
                  "early_stopping_patience", "evaluations_per_epoch", "head_init", "pooling", "track_features")
"""Recipe fields of every method that trains step by step."""


class Always:
    """Applies to every model that it was tried on, and has nothing to warn of."""

    card: Card

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        return (facts.refusals or {}).get(self.card.name)

    def note(self, device: Device | None = None) -> str | None:
        return None
