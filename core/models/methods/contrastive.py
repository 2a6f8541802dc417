"""Full fine-tuning that also pulls rows of one class together (supervised contrastive learning; Gunel et al. 2021,
arXiv 2011.01403)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.recipe import Recipe
from core.models.methods.base import Always, Card, Method
from core.models.methods.full import Full

if TYPE_CHECKING:
    from core.models.network import Network


class Contrastive(Always):
    """The loss of a batch is (1 − lambda) · cross-entropy + lambda · the contrastive loss of its pooled features
    (`core.models.contrast`).

    SetFit (Tunstall et al. 2022, arXiv 2209.11055) trains on pairs of rows alone and solves a head at the end; here
    body and head train in one loop, so that steps, checkpoints and costs are those of every other method. The loss that
    is shown while it trains is this one; validation loss and all numbers of the finished run are without it. A class of
    which a batch has one row is pulled nowhere: with many classes, larger batches.
    """

    card: Card = replace(
        Full.card,
        name="contrastive",
        label="Contrastive (SupCon)",
        summary="Full fine-tuning that also pulls rows of the same class together and pushes the others away. Meant "
                "for few labels.",
        own_head=None,
        advice="Pull the classes together",
        colour_index=19,
        everyday=False,
        preselected=False,
        # The paper's lambda for 20 to 1,000 labels. Not measured here.
        contrast=0.9,
        # Full fine-tuning's rates, so that the two differ by the loss alone.
        lighter=("lora", "qlora", "partial"))

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        Full().make_trainable(network, recipe)
        network.contrast = self.card.contrast


METHOD: Method = Contrastive()
