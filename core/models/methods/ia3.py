"""IA3: vectors that turn what a block computes up and down (Liu et al. 2022, arXiv 2205.05638)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.device import Device
from core.domain.model import Block, LinearLayer, ModelFacts
from core.domain.recipe import Recipe
from core.domain.targets import lora_targets
from core.models.methods.base import Card, Method
from core.models.methods.lora import LORA_KNOBS, Lora

if TYPE_CHECKING:
    import torch
    from torch import nn

    from core.models.network import Network

KEYS_AND_VALUES = re.compile(r"(^|[._])(k|v|kv|qkv|wqkv|in_proj|c_attn|key|value|query_key_value|key_value|to_k|to_v|"
                             r"[kv]_(proj|lin|head)|(key|value)_(proj|projection)|qkv_proj|att_proj)$", re.IGNORECASE)
"""Names of layers that make keys or values, alone or together with queries."""


class Factors:
    """l · (x W' + b) of layers that make keys and values, (l · x) W' + b of the last layer of an MLP: l starts as ones.

    Where names tell no keys and values every layer of attention has its outputs turned.
    """

    kept = 0.0  # what is turned, in the place of the layer's input (a BERT of MiniLM's size, fp32: as LoRA)
    copies = 0.0
    scales = False  # factors, no sum

    def layers(self, recipe: Recipe, blocks: Sequence[Block]) -> list[LinearLayer]:
        found = []
        for block in blocks:
            if block.name in recipe.freeze.frozen or not block.linear_layers:
                continue
            attention = [layer for layer in block.linear_layers if layer.kind == "attention"]
            inner = self.inner([block])
            chosen = [layer for layer in attention if KEYS_AND_VALUES.search(layer.name)] or attention
            found += [layer for layer in block.linear_layers if layer in chosen or layer in inner]
        return found or lora_targets(blocks, spec="all-linear", frozen=recipe.freeze.frozen)  # says what there is

    def inner(self, blocks: Sequence[Block]) -> list[LinearLayer]:
        """Layers that read the inside of an MLP: those that lead back to fewer channels, or the last one."""
        found = []
        for block in blocks:
            mlp = [layer for layer in block.linear_layers if layer.kind == "mlp"]
            found += [layer for layer in mlp if layer.in_features > layer.out_features] or mlp[-1:]
        return found

    def parameters(self, recipe: Recipe, layer: LinearLayer) -> int:
        return layer.in_features if layer.kind == "mlp" else layer.out_features

    def merged(self, layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
        """W with its rows or columns times l. A weight of transformers' `Conv1D` is (n_in, n_out), a convolution's
        (n_out, n_in, height, width).
        """
        factors = self._factors(layer)
        turned = bool(getattr(layer, "fan_in_fan_out", False))
        side = 1 if layer.is_feedforward != turned else 0
        return weight * factors.reshape([-1 if axis == side else 1 for axis in range(weight.ndim)])

    def merged_bias(self, layer: nn.Module, bias: torch.Tensor) -> torch.Tensor:
        """b · l where outputs are turned."""
        return bias if layer.is_feedforward else bias * self._factors(layer)

    def _factors(self, layer: nn.Module) -> torch.Tensor:
        learned: torch.Tensor = layer.ia3_l["default"]  # type: ignore[index]
        return learned.detach().float().cpu().flatten()


class Ia3(Lora):
    """One factor for each channel of keys, of values and of the inside of each MLP; all else is frozen."""

    card: Card = replace(
        Lora.card,
        name="ia3",
        label="IA3",
        summary="Learns one factor for each channel of keys, values and the inside of each MLP: some ten thousand "
                "numbers that turn what is there up or down.",
        advice="Use IA3",
        colour_index=13,
        everyday=False,
        preselected=False,
        knobs=tuple(knob for knob in LORA_KNOBS if not knob.startswith("lora.")),
        adapter=Factors(),
        # Ten times LoRA's: a factor that starts as 1 has to move by tenths to matter, and AdamW moves it by the rate a
        # step (the paper: 3e-3, T0). Not measured here.
        rates=replace(Lora.card.rates, body=5e-3, convolutions=5e-3, quick=2.0),
        lighter=("qlora",))

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        return Lora().applies_to(facts, device) or super().applies_to(facts, device)

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        from peft import IA3Config

        from core.models import adapters, blocks

        described, factors = blocks.describe(network.body, network.stack), Factors()
        targets = factors.layers(recipe, described)
        adapters.attach(network, IA3Config(
            target_modules=[layer.name for layer in targets],
            feedforward_modules=[layer.name for layer in targets if layer in factors.inner(described)]))


METHOD: Method = Ia3()
