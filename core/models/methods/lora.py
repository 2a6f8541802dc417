"""LoRA: frozen weights, small trained low-rank updates beside them (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.domain import freeze
from core.domain.device import Device
from core.domain.model import Block, LinearLayer, ModelFacts, Weights
from core.domain.recipe import Recipe
from core.domain.targets import lora_targets
from core.models.methods.base import TRAINING_KNOBS, Adapter, Always, Card, Method, Rates

if TYPE_CHECKING:
    import torch
    from torch import nn

    from core.models.network import Network

LORA_KNOBS = ("lora.rank", "lora.alpha", "lora.dropout", "lora.targets", "freeze",
              *(knob for knob in TRAINING_KNOBS if knob not in ("dropout", "batch_norm")))


class LowRank:
    """B · A beside each target: A (rank, n_in), B (n_out, rank)."""

    kept = 0.0  # the layer's input, which is kept anyway
    copies = 0.0
    scales = True

    def layers(self, recipe: Recipe, blocks: Sequence[Block]) -> list[LinearLayer]:
        return lora_targets(blocks, spec=recipe.lora.targets, frozen=recipe.freeze.frozen)

    def parameters(self, recipe: Recipe, layer: LinearLayer) -> int:
        return recipe.lora.rank * (layer.in_features + layer.out_features)

    def merged(self, layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
        """W + scale · B A."""
        delta: torch.Tensor = layer.get_delta_weight("default")  # type: ignore[operator]
        return weight + delta.float().cpu().reshape(weight.shape)

    def merged_bias(self, layer: nn.Module, bias: torch.Tensor) -> torch.Tensor:
        return bias


class BesideLinear(LowRank):
    """The base of adapters that peft has for linear layers alone: convolutions are left out."""

    scales = False

    def layers(self, recipe: Recipe, blocks: Sequence[Block]) -> list[LinearLayer]:
        linear = [replace(block, linear_layers=tuple(layer for layer in block.linear_layers if layer.quantisable))
                  for block in blocks]
        return super().layers(recipe, linear)


class Lora(Always):
    """Adapters on the linear layers found in the open blocks; everything else is frozen."""

    card: Card = Card(
        name="lora",
        label="LoRA",
        summary="Freezes the base model and trains small low-rank updates beside its layers. "
                "Its artifact holds these alone.",
        own_head="",
        own_head_only=False,
        advice="Use LoRA",
        colour_index=3,
        everyday=True,
        preselected=True,
        knobs=LORA_KNOBS,
        weights=Weights.PRETRAINED,
        needs_freeze_plan=True,
        default_plan=freeze.none,
        adapter=LowRank(),
        solved=False,
        head_first=0.0,
        thawing=None,
        pull=0.0,
        to_base=0.0,
        replay=0.0,
        contrast=0.0,
        rates=Rates(
            # Ten times the full rate: B starts at zero, and the rank limits each step (Hu et al.: 4e-4..5e-4, RoBERTa).
            body=5e-4,
            # EfficientNet-Lite0 on 450 OpenMoji, 87 steps: 0.698 at 5e-4, 0.709 at 2e-3. On 160 rows, 40 steps, two
            # seeds: OpenMoji 0.640 and 0.611 at 1e-3, 0.624 and 0.632 at 4e-3; MNIST at 4e-3: of three seeds two saw
            # losses above 6 and one ended at 0.16 of the test rows; at 2e-3 validation fell by up to 0.2 on the way, at
            # 1e-3 by 0.08.
            convolutions=1e-3,
            head=5e-4,
            quick=2.0),  # B has little time to leave zero
        passes=2.0,  # hardly any weight gradients
        lighter=("qlora",))

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        if not any(block.linear_layers for block in facts.blocks):
            return "this model has no linear layers or 1x1 convolutions to adapt"
        return super().applies_to(facts, device)

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        assert self.card.adapter is not None
        add_adapters(network, recipe, self.card.adapter)


class OnLinear(Lora):
    """The base of methods whose adapters sit beside linear layers alone."""

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        if not any(layer.quantisable for block in facts.blocks for layer in block.linear_layers):
            return "this model has no linear layers to adapt (convolutions are none)"
        return (facts.refusals or {}).get(self.card.name) or Lora().applies_to(facts, device)


def targets_of(network: Network, recipe: Recipe, adapter: Adapter) -> list[str]:
    """Names of the layers of the network that get one."""
    from core.models import blocks

    return [layer.name for layer in adapter.layers(recipe, blocks.describe(network.body, network.stack))]


def add_adapters(network: Network, recipe: Recipe, adapter: Adapter, **options: Any) -> None:
    """Attach peft's LoRA to the targets in open blocks.

    options: of peft's `LoraConfig`, beside what the recipe says.
    """
    from peft import LoraConfig

    from core.models import adapters

    adapters.attach(network, LoraConfig(
        r=recipe.lora.rank, lora_alpha=recipe.lora.alpha, lora_dropout=recipe.lora.dropout, bias="none",
        target_modules=targets_of(network, recipe, adapter), **options))


METHOD: Method = Lora()
