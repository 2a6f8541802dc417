"""OSF: what trains of each matrix is the lower half of its singular directions (Nayak et al. 2025, arXiv 2504.07097).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.device import Device
from core.domain.model import LinearLayer, ModelFacts
from core.domain.recipe import Recipe
from core.models.methods.base import Card, Method
from core.models.methods.lora import LORA_KNOBS, BesideLinear, OnLinear, targets_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    from core.models.network import Network

SECONDS = 0.8e-9
"""Of one core for the decomposition of a matrix, times n_in · n_out · min(n_in, n_out): 0.5e-9 of 576 x 1,536, 0.8e-9
of 1,024 x 4,096."""
PATIENCE = 60
"""Seconds that decompositions may take whenever a model is loaded."""


class Subspace(BesideLinear):
    """W = U S V'; the part of the smaller half of the singular values, U' S' V'', trains, beside itself as it started:
    W + U' S' V'' − (U' S' V'')_start. Gradients of U' and V'' along the frozen directions are taken away.
    """

    copies = 3.0  # factors of both products, laid together in each pass, the start, and directions of the longer side
    kept = 0.7  # what lies between the two factors, of each (MiniLM, 64 tokens, bf16: 1.02 of 572 MB with both)

    def parameters(self, recipe: Recipe, layer: LinearLayer) -> int:
        trained = (min(layer.in_features, layer.out_features) + 1) // 2
        return trained * (layer.in_features + layer.out_features + 1)

    def merged(self, layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
        """W + U S V − (U S V)_start."""
        added: torch.Tensor = layer.get_delta_weight("default")  # type: ignore[operator]
        return weight + added.detach().float().cpu()


class Osf(OnLinear):
    """Made for learning one task after another: strong directions of pretraining are left alone, so that what they hold
    is kept. AdamW scales each number by itself, which lets a little of each step through to them all the same."""

    card: Card = replace(
        OnLinear.card,
        name="osf",
        label="OSF",
        summary="Splits each matrix into its strong and its weak directions and trains the weak half alone, so that "
                "what the strong ones hold is kept. Takes more memory than full fine-tuning.",
        advice="Use OSF",
        colour_index=22,
        everyday=False,
        preselected=False,
        knobs=("lora.targets", *(knob for knob in LORA_KNOBS if not knob.startswith("lora."))),
        adapter=Subspace(),
        # That of full fine-tuning: whole directions train from where they are, not from zero. MiniLM on 160 articles of
        # BBC News, 40 steps, two seeds: 0.909 at 1e-4 (quick effort), 0.895 at 3e-4, 0.899 at 1e-3; at 3e-3 one of two
        # ended at 0.414.
        rates=replace(OnLinear.card.rates, body=5e-5),
        passes=3.5,
        lighter=("lora", "qlora"))

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        if reason := super().applies_to(facts, device):
            return reason
        seconds = SECONDS * sum(
            layer.in_features * layer.out_features * min(layer.in_features, layer.out_features)
            for block in facts.blocks for layer in block.linear_layers if layer.quantisable)
        if seconds > PATIENCE:
            return (f"the singular value decomposition of its matrices would take about {seconds / 60:.1f} minutes "
                    "whenever the model is loaded")
        return None

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        from peft import OSFConfig

        from core.models import adapters

        adapters.attach(network, OSFConfig(target_modules=targets_of(network, recipe, Subspace())))


METHOD: Method = Osf()
