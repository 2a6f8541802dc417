"""Full fine-tuning: every weight trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.freeze import FreezePlan
from core.domain.recipe import Recipe
from core.models.methods.base import TRAINING_KNOBS, Always, Card

if TYPE_CHECKING:
    from core.models.network import Network


class Full(Always):
    """All blocks and the head train from the pretrained weights."""

    card = Card(name="full", label="Full fine-tuning", colour_index=2, knobs=TRAINING_KNOBS,
                summary="Trains every weight, starting from the pretrained ones. Needs the most memory: gradients and optimiser for all.")

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        network.freeze(FreezePlan(), batch_norm=recipe.batch_norm)
