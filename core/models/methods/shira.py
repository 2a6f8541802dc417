"""SHiRA: a few weights of each layer train, chosen by chance (Bhardwaj et al. 2024, arXiv 2406.13175)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.model import Block, LinearLayer
from core.domain.recipe import Recipe
from core.errors import PatternError
from core.models.methods.base import Card, Method
from core.models.methods.lora import LORA_KNOBS, BesideLinear, OnLinear, targets_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    from core.models.network import Network


class Sparse(BesideLinear):
    """As many single weights of each layer as LoRA of that rank has parameters get something added, which starts as
    zero. A layer with fewer weights than that is left out. Added to weights that are held in bf16 (frozen ones of a
    language model) the sum is rounded as these are."""

    copies = 1.0

    def layers(self, recipe: Recipe, blocks: Sequence[Block]) -> list[LinearLayer]:
        found = super().layers(recipe, blocks)
        large = [layer for layer in found if self.parameters(recipe, layer) <= layer.in_features * layer.out_features]
        if not large:
            raise PatternError("No layer has as many weights as would train.",
                               why=f"Rank {recipe.lora.rank} means {self.parameters(recipe, found[0]):,} of a layer of "
                                   f"{found[0].in_features:,} x {found[0].out_features:,}.",
                               remedy="Choose a smaller rank.")
        return large

    def parameters(self, recipe: Recipe, layer: LinearLayer) -> int:
        return recipe.lora.rank * (layer.in_features + layer.out_features)

    def merged(self, layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
        """W + S."""
        added: torch.Tensor = layer.get_delta_weight("default")  # type: ignore[operator]
        return weight + added.detach().to_dense().float().cpu()


class Shira(OnLinear):
    """The places are drawn with the run's seed. Their changes have no low rank, and most of each layer stays as it was
    published, to the bit."""

    card: Card = replace(
        OnLinear.card,
        name="shira",
        label="SHiRA",
        summary="Trains a few weights of each layer, drawn by chance, as many as LoRA has parameters; all others stay "
                "as published.",
        advice="Use SHiRA",
        colour_index=15,
        everyday=False,
        preselected=False,
        knobs=("lora.rank", "lora.targets", *(knob for knob in LORA_KNOBS if not knob.startswith("lora."))),
        adapter=Sparse(),
        # Twice LoRA's: single weights, each with a gradient of its own. Not measured here.
        rates=replace(OnLinear.card.rates, body=1e-3),
        passes=3.0,  # the gradient of whole weights is made, and all of it but these places dropped
        lighter=("lora", "qlora"))

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        from peft import ShiraConfig

        from core.models import adapters

        adapters.attach(network, ShiraConfig(r=recipe.lora.rank, random_seed=recipe.seed,
                                             target_modules=targets_of(network, recipe, Sparse())))


METHOD: Method = Shira()
