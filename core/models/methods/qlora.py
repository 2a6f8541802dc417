"""QLoRA: LoRA on a body stored in 4 bits (Dettmers et al. 2023, arXiv 2305.14314)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.device import Device
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.models.methods.base import Card
from core.models.methods.lora import LORA_KNOBS, add_adapters

if TYPE_CHECKING:
    from core.models.network import Network


class Qlora:
    """Linear weights in NF4 or FP4 with double quantisation, adapters in full precision."""

    card = Card(name="qlora", label="QLoRA (4-bit)", colour_index=4, needs_freeze_plan=True, adapter=True, weights="4bit",
                knobs=("quantization.type", "quantization.double", *LORA_KNOBS),
                summary="LoRA on a base model stored in 4 bits: the weights take about an eighth of their fp32 memory.")

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        import importlib.util

        linear = sum(block.linear_parameters for block in facts.blocks)
        if facts.has_batch_norm or linear < 0.2 * facts.parameters:
            return "this model has no linear layers worth quantising (4 bits are for linear layers, not convolutions or stacked experts)"
        if importlib.util.find_spec("bitsandbytes") is None:
            return "the package bitsandbytes is not installed"
        return (facts.refusals or {}).get(self.card.name)

    def note(self, device: Device | None = None) -> str | None:
        return "Saves memory, not time, on a CPU." if device is None or device.kind == "cpu" else None

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        add_adapters(network, recipe)  # `load_body` has settled the 4-bit body: nothing of it is packed or needs another type
