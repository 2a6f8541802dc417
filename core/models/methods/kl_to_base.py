"""LoRA held to what the base model says (Learning without Forgetting; Li and Hoiem 2016, arXiv 1606.09282)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.device import Device
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.models.methods.base import Card, Method
from core.models.methods.lora import Lora

if TYPE_CHECKING:
    from core.models.network import Network


class KlToBase(Lora):
    """The loss of each taught token is −log q(token) + beta · KL(p ‖ q): p what the base model says of the next token,
    q what the tuned one does.

    That is the paper's direction, the answers of the old model as soft targets for the new one on the new rows, without
    its temperature (1 instead of 2) and in the same words instead of those of another task. p comes from the same
    network with its adapters switched off, one more forward pass and no second copy; both are computed on chunks of
    tokens. The validation loss, and all numbers of the finished run, are without the penalty; the training loss that is
    shown is with it.
    """

    card: Card = replace(
        Lora.card,
        name="kl_to_base",
        label="Held to the base model (KL)",
        summary="LoRA with a penalty on saying something else of the next token than the base model would. Meant to "
                "forget less.",
        own_head_only=True,
        advice="Hold the answers to the base model's",
        colour_index=18,
        everyday=False,
        preselected=False,
        # The sum is least where q = (the data's share + beta · p) / (1 + beta): a tenth leaves ten elevenths to the
        # data. The paper's 1 is for answers to other questions than those that are learned. Not measured here.
        to_base=0.1,
        # LoRA's rates, so that the two differ by the penalty alone: its gradient, beta · (q − p), is at most a tenth of
        # the largest that a token has.
        rates=replace(Lora.card.rates),
        passes=3.0,  # LoRA's, and the base model's
        lighter=("lora", "qlora"))

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        return Lora().applies_to(facts, device) or super().applies_to(facts, device)

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        super().make_trainable(network, recipe)
        network.held_to_base = self.card.to_base


METHOD: Method = KlToBase()
