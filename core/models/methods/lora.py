"""LoRA: frozen weights, small trained low-rank updates beside them (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from core.domain.device import Device
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.domain.targets import lora_targets
from core.models.methods.base import TRAINING_KNOBS, Card

if TYPE_CHECKING:
    from core.models.network import Network

LORA_KNOBS = ("lora.rank", "lora.alpha", "lora.dropout", "lora.targets", "freeze",
              *(k for k in TRAINING_KNOBS if k not in ("dropout", "batch_norm")))

WRAPPED = "base_model.model"
"""Where peft keeps the body inside its wrapper."""


class Lora:
    """Adapters on the linear layers found in the open blocks; everything else is frozen."""

    card = Card(name="lora", label="LoRA", colour_index=3, needs_freeze_plan=True, adapter=True, knobs=LORA_KNOBS,
                summary="Freezes the base model and trains small low-rank updates beside its layers. An artifact of about a megabyte.")

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        if not any(block.linear_layers for block in facts.blocks):
            return "this model has no linear layers or 1x1 convolutions to adapt"
        return (facts.refusals or {}).get(self.card.name)

    def note(self, device: Device | None = None) -> str | None:
        return None

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        add_adapters(network, recipe)


def add_adapters(network: Network, recipe: Recipe) -> None:
    """Attach LoRA to the targets in open blocks; the body stays in eval mode but for the adapters' own dropout."""
    from peft import LoraConfig, get_peft_model

    from core.models import blocks
    from core.models.merged_lora import merge_on_the_fly

    targets = lora_targets(blocks.describe(network.body, network.stack), spec=recipe.lora.targets, frozen=recipe.freeze.frozen)
    for parameter in network.body.parameters():
        parameter.requires_grad_(False)
    takes = inspect.signature(network.body.forward).parameters  # peft's wrapper for texts hands on arguments that not every body takes
    config = LoraConfig(r=recipe.lora.rank, lora_alpha=recipe.lora.alpha, lora_dropout=recipe.lora.dropout,
                        target_modules=[layer.name for layer in targets], bias="none",
                        task_type="FEATURE_EXTRACTION" if "inputs_embeds" in takes else None)
    network.body = get_peft_model(network.body, config)
    network.stack = network.stack.under(WRAPPED)
    if network.device.type == "cpu":  # where thin products are slow: a step takes about a fifth less
        merge_on_the_fly(network.body)
    network.keep_in_eval([module for name, module in network.body.named_modules()
                          if "lora_" not in name and not any("lora_" in inner for inner, _ in module.named_modules())]
                         if recipe.lora.dropout else [network.body])
