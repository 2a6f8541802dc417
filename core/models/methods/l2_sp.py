"""L2-SP: full fine-tuning that is pulled back to the pretrained weights (Li et al. 2018, arXiv 1802.01483)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.recipe import Recipe
from core.models.methods.base import Always, Card, Method
from core.models.methods.full import Full

if TYPE_CHECKING:
    from core.models.network import Network


class L2Sp(Always):
    """The penalty alpha / 2 · ‖W − W_start‖² on every weight of the base model that trains, in the place of weight
    decay towards zero, which would undo pretraining. A new head has no start worth keeping: it has the recipe's weight
    decay alone (the paper's beta).

    The penalty's gradient is added after the gradient limit and before AdamW, as part of the loss; the loss that is
    shown is without it. A copy of the weights is held beside them.
    """

    card: Card = replace(
        Full.card,
        name="l2_sp",
        label="Held near the start (L2-SP)",
        summary="Full fine-tuning with a penalty on the distance from the pretrained weights. Meant to keep more of "
                "what they know; needs memory for a second copy of them.",
        own_head="Trains every weight with a penalty on the distance from the untouched model. Meant to forget less.",
        advice="Hold the weights near the start",
        colour_index=11,
        everyday=False,
        preselected=False,
        # The paper's alpha, for SGD. AdamW divides it like the rest of the gradient, so it is felt where the gradient
        # of the loss is below 0.1 · (W − W_start), about 1e-4 after a hundred steps: late, and in weights that the
        # loss hardly needs.
        pull=0.1,
        # Full fine-tuning's rates, so that the two differ by the penalty alone.
        lighter=("full", "lora", "qlora"))

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        Full().make_trainable(network, recipe)


METHOD: Method = L2Sp()
