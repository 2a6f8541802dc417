"""Partial fine-tuning: the blocks that the freeze plan leaves open train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.recipe import Recipe
from core.models.methods.base import TRAINING_KNOBS, Always, Card

if TYPE_CHECKING:
    from core.models.network import Network


class Partial(Always):
    """Any freeze plan; frozen blocks below the first open one are run once and cached."""

    card = Card(name="partial", label="Partly frozen", colour_index=1, needs_freeze_plan=True, knobs=("freeze", *TRAINING_KNOBS),
                summary="Freezes the blocks you choose and trains the rest. Early blocks hold general features, late ones task features.")

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        network.freeze(recipe.freeze, batch_norm=recipe.batch_norm)
