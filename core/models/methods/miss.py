"""MiSS: one small matrix a layer, shared by all shards of its inputs (Kang and Yin 2024, arXiv 2409.15371)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.model import LinearLayer
from core.domain.recipe import Recipe
from core.models.methods.base import Card, Method
from core.models.methods.lora import LORA_KNOBS, BesideLinear, OnLinear, targets_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    from core.models.network import Network


class Shards(BesideLinear):
    """D (rank, n_out) is added to every run of `rank` columns of W: W[o, i] + D[i mod rank, o]. It starts as zero."""

    def parameters(self, recipe: Recipe, layer: LinearLayer) -> int:
        return recipe.lora.rank * layer.out_features

    def merged(self, layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
        """W with D beside itself, as often as it fits and the rest of it once more."""
        shard: torch.Tensor = layer.miss_block["default"]  # type: ignore[index]
        turned = shard.detach().float().cpu().T  # (n_out, rank)
        times = -(-weight.shape[1] // turned.shape[1])
        return weight + turned.repeat(1, times)[:, :weight.shape[1]]


class Miss(OnLinear):
    """Inputs are summed over shards, then one trained matrix reads the sums: half of LoRA's parameters at one rank."""

    card: Card = replace(
        OnLinear.card,
        name="miss",
        label="MiSS",
        summary="Trains one small matrix a layer that all shards of its inputs share: half as many parameters as LoRA "
                "of the same rank.",
        advice="Use MiSS",
        colour_index=16,
        everyday=False,
        preselected=False,
        knobs=("lora.rank", "lora.targets", *(knob for knob in LORA_KNOBS if not knob.startswith("lora."))),
        adapter=Shards(),
        # One trained number stands for n_in / rank weights, which add up: less than LoRA's rate. Not measured here.
        rates=replace(OnLinear.card.rates, body=3e-4),
        lighter=("qlora",))

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        from peft import MissConfig

        from core.models import adapters

        adapters.attach(network, MissConfig(r=recipe.lora.rank,
                                            target_modules=targets_of(network, recipe, Shards())))


METHOD: Method = Miss()
