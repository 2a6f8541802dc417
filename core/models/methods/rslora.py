"""rsLoRA: LoRA whose update is scaled by alpha / sqrt(rank) (Kalajdzievski 2023, arXiv 2312.03732)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.device import Device
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.models.methods.base import Card, Method
from core.models.methods.lora import Lora, LowRank, add_adapters

if TYPE_CHECKING:
    from core.models.network import Network


class RankStabilised(Lora):
    """LoRA's update with another factor before it, under which a larger rank learns as fast as a small one.

    At the default alpha of twice the rank the factor is 2 · sqrt(rank) instead of 2: 5.7 at rank 8.
    """

    card: Card = replace(
        Lora.card,
        name="rslora",
        label="rsLoRA",
        summary="LoRA with its update multiplied by alpha / √rank instead of alpha / rank, so that a larger rank "
                "learns as fast as a small one.",
        advice="Use rsLoRA",
        colour_index=9,
        everyday=False,
        preselected=False,
        # Its factor is 2.8 times LoRA's at rank 8, so a third of LoRA's rate. MiniLM, 200 labels of bbc-news, quick
        # effort (twice this rate), one seed: 0.920 at 3e-4, 0.915 at 1e-3, LoRA 0.915 at 1e-3: not told apart.
        rates=replace(Lora.card.rates, body=1.5e-4, convolutions=3e-4),
        lighter=("lora", "qlora"))

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        return Lora().applies_to(facts, device) or super().applies_to(facts, device)

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        add_adapters(network, recipe, LowRank(), use_rslora=True)


METHOD: Method = RankStabilised()
