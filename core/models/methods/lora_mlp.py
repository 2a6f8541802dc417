"""LoRA on MLP layers only (Schulman and Thinking Machines Lab 2025, "LoRA Without Regret"; He et al. 2022,
arXiv 2110.04366).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.device import Device
from core.domain.model import Block, LinearLayer, ModelFacts
from core.domain.recipe import Recipe
from core.domain.targets import lora_targets
from core.models.methods.base import Card, Method
from core.models.methods.lora import LORA_KNOBS, Lora, LowRank, add_adapters

if TYPE_CHECKING:
    from core.models.network import Network

MLP = "mlp"


class MlpLowRank(LowRank):
    """LoRA's update, where no attention is."""

    def layers(self, recipe: Recipe, blocks: Sequence[Block]) -> list[LinearLayer]:
        return lora_targets(blocks, spec=MLP, frozen=recipe.freeze.frozen)


class LoraMlp(Lora):
    """LoRA whose targets are fixed: every linear layer of a block that is not part of its attention.

    Both sources find adapters worth more there than in attention: the first that MLP alone does as well as all layers,
    and attention alone worse at equal numbers of parameters.
    """

    card: Card = replace(
        Lora.card,
        name="lora_mlp",
        label="MLP-only LoRA",
        summary="LoRA in the feed-forward layers alone and none in attention, where it is said to matter least.",
        advice="Use LoRA on MLP layers only",
        colour_index=12,
        everyday=False,
        preselected=False,
        knobs=tuple(knob for knob in LORA_KNOBS if knob != "lora.targets"),
        adapter=MlpLowRank(),
        # LoRA's rates: each layer's update is the same, there are fewer of them.
        lighter=("qlora",))

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        if reason := Lora().applies_to(facts, device):
            return reason
        kinds = {layer.kind for block in facts.blocks for layer in block.linear_layers}
        if kinds == {MLP}:
            return "no layer of this model is called attention: it is LoRA on all of them"
        if MLP not in kinds:
            return "this model has no linear layers outside of attention"
        return super().applies_to(facts, device)

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        add_adapters(network, recipe, MlpLowRank())


METHOD: Method = LoraMlp()
