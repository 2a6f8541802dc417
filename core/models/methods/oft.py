"""OFT: each layer's inputs are turned, their angles kept (Qiu et al. 2023, arXiv 2306.07280; Qiu et al. 2025,
arXiv 2506.19847).
"""

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

BLOCK = 32
"""Channels that are turned together: peft's default, about as many parameters as LoRA of rank 8."""


class Rotation(BesideLinear):
    """W R with R orthogonal, made of blocks on its diagonal: the Cayley transform of a skew matrix that starts as zero
    (its Neumann series, which the second paper takes for speed)."""

    kept = 0.15  # blocks of the rotation (a BERT of MiniLM's size, fp32: 28.1 against LoRA's 24.7 kB a token and block)

    def parameters(self, recipe: Recipe, layer: LinearLayer) -> int:
        size = block_size(layer.in_features)
        return layer.in_features // size * (size * (size - 1) // 2)

    def merged(self, layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
        """W R': x R W' = x (W R')'."""
        rotation: torch.Tensor = layer.get_delta_weight("default")  # type: ignore[operator]
        return weight @ rotation.detach().float().cpu().T


def block_size(channels: int) -> int:
    """The divisor of the number of channels nearest to `BLOCK`, the lower of two, as peft takes it."""
    if channels <= BLOCK:
        return channels
    lower = next(size for size in range(BLOCK, 0, -1) if channels % size == 0)
    higher = next(size for size in range(BLOCK, channels + 1) if channels % size == 0)
    return lower if BLOCK - lower <= higher - BLOCK else higher


class Oft(OnLinear):
    """What enters each layer is rotated, in blocks of 32 channels, before the frozen weights read it."""

    card: Card = replace(
        OnLinear.card,
        name="oft",
        label="OFT",
        summary="Rotates what enters each layer instead of adding to its weights, so that angles between neurons stay "
                "as pretraining left them.",
        advice="Use OFT",
        colour_index=14,
        everyday=False,
        preselected=False,
        knobs=("lora.targets", *(knob for knob in LORA_KNOBS if not knob.startswith("lora."))),
        adapter=Rotation(),
        # A rotation moves every weight of a layer at once, so less than LoRA's rate. Not measured here.
        rates=replace(OnLinear.card.rates, body=3e-4),
        passes=2.5,  # the rotation is made anew in each pass
        lighter=("lora", "qlora"))

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        from peft import OFTConfig

        from core.models import adapters

        adapters.attach(network, OFTConfig(oft_block_size=BLOCK, use_cayley_neumann=True,
                                           target_modules=targets_of(network, recipe, Rotation())))


METHOD: Method = Oft()
