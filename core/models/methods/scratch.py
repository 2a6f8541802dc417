"""From scratch: the same architecture and budget without the pretrained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.freeze import FreezePlan
from core.domain.recipe import Recipe
from core.models.methods.base import TRAINING_KNOBS, Always, Card

if TYPE_CHECKING:
    from core.models.network import Network


class Scratch(Always):
    """Fresh random weights: what the same steps reach without transfer."""

    card = Card(name="scratch", label="From scratch", colour_index=5, weights="fresh",
                knobs=tuple(k for k in TRAINING_KNOBS if k not in ("head_init", "batch_norm")),
                summary="Same architecture, random weights, same budget: shows how much the pretrained weights are worth.")

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        network.freeze(FreezePlan(), batch_norm="batch")  # fresh weights have no statistics worth keeping
