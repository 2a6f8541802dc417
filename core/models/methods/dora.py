"""DoRA: a low-rank update to the direction of each weight, and a trained length (Liu et al. 2024, arXiv 2402.09353)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.device import Device
from core.domain.model import LinearLayer, ModelFacts
from core.domain.recipe import Recipe
from core.models.methods.base import Card, Method
from core.models.methods.lora import Lora, LowRank, add_adapters

if TYPE_CHECKING:
    import torch
    from torch import nn

    from core.models.network import Network


class WeightDecomposed(LowRank):
    """W' = m · V / ‖V‖ with V = W + scale · B A: m (n_out) starts as ‖W‖, the norms of the rows of W, one an output."""

    scales = False  # the length of the sum is trained apart
    kept = 1.4  # the frozen and the low-rank product are held apart (MiniLM, fp32: 60 against 25 kB a token and block)

    def parameters(self, recipe: Recipe, layer: LinearLayer) -> int:
        return super().parameters(recipe, layer) + layer.out_features

    def merged(self, layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
        """m · V / ‖V‖. A weight of transformers' `Conv1D` is (n_in, n_out), a convolution's (n_out, n_in, height,
        width).
        """
        direction = super().merged(layer, weight)
        turned = bool(getattr(layer, "fan_in_fan_out", False))
        rows = direction.T if turned else direction.flatten(1)  # (n_out, n_in)
        length: torch.Tensor = layer.lora_magnitude_vector["default"].weight  # type: ignore[index]
        scaled = rows * (length.detach().float().cpu().flatten() / rows.norm(dim=1)).unsqueeze(1)
        return scaled.T if turned else scaled.reshape(weight.shape)


class Dora(Lora):
    """LoRA whose targets also learn how long each of their weights is."""

    card: Card = replace(
        Lora.card,
        name="dora",
        label="DoRA",
        summary="LoRA that learns length and direction of each weight apart: a few more parameters, "
                "often nearer to full fine-tuning.",
        advice="Use DoRA",
        colour_index=7,
        everyday=False,
        preselected=False,
        adapter=WeightDecomposed(),
        # LoRA's rates, so that the two differ by the decomposition alone.
        passes=3.5,  # MiniLM, a CPU: 1.06 s a step against 0.98 of full fine-tuning in fp32, 0.81 against 0.64 in bf16
        lighter=("lora", "qlora"))

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        return Lora().applies_to(facts, device) or super().applies_to(facts, device)

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        add_adapters(network, recipe, WeightDecomposed(), use_dora=True)


METHOD: Method = Dora()
