"""QLoRA: LoRA on a body stored in 4 bits (Dettmers et al. 2023, arXiv 2305.14314)."""

from __future__ import annotations

from dataclasses import replace

from core.domain.device import Device
from core.domain.model import ModelFacts, Weights
from core.models.methods.base import Card, Method
from core.models.methods.lora import LORA_KNOBS, Lora


class Qlora(Lora):
    """Linear weights in NF4 or FP4 with double quantisation, adapters in full precision.

    `load_body` has settled the 4-bit body before: nothing of it is packed or needs another type.
    """

    card: Card = replace(
        Lora.card,
        name="qlora",
        label="QLoRA (4-bit)",
        summary="LoRA on a base model stored in 4 bits: the weights take about an eighth of their fp32 memory.",
        advice="Use QLoRA",
        colour_index=4,
        preselected=False,
        knobs=("quantization.type", "quantization.double", *LORA_KNOBS),
        weights=Weights.FOUR_BIT,
        # The same adapters on rounded weights: the same rates. It does not apply to networks of convolutions.
        rates=replace(Lora.card.rates, convolutions=5e-5),
        lighter=())

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        import importlib.util

        linear = sum(block.linear_parameters for block in facts.blocks)
        if facts.has_batch_norm or linear < 0.2 * facts.parameters:
            return ("this model has no linear layers worth quantising "
                    "(4 bits are for linear layers, not convolutions or stacked experts)")
        if importlib.util.find_spec("bitsandbytes") is None:
            return "the package bitsandbytes is not installed"
        return (facts.refusals or {}).get(self.card.name)

    def note(self, device: Device | None = None) -> str | None:
        return "Saves memory, not time, on a CPU." if device is None or device.kind == "cpu" else None


METHOD: Method = Qlora()
