"""BitFit: only biases train (Ben Zaken et al. 2022, arXiv 2106.10199)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.device import Device
from core.domain.freeze import HEAD, all_but_biases
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.models.methods.base import TRAINING_KNOBS, Always, Card, Method
from core.models.methods.full import Full

if TYPE_CHECKING:
    from core.models.network import Network


class BitFit(Always):
    """Every parameter that is added trains, biases of layers and shifts of norms, and a new head; all that is
    multiplied stays. About a thousandth of a transformer; a language model without biases (Llama and its kin) has
    nothing that could train.
    """

    card: Card = replace(
        Full.card,
        name="bitfit",
        label="Biases only (BitFit)",
        summary="Trains the biases alone, about a thousandth of the weights, and a new head: nothing that is "
                "multiplied changes.",
        own_head="Trains the biases alone, about a thousandth of the weights: nothing that is multiplied changes.",
        advice="Train the biases only",
        colour_index=10,
        everyday=False,
        preselected=False,
        knobs=tuple(knob for knob in TRAINING_KNOBS if knob not in ("dropout", "batch_norm")),
        default_plan=all_but_biases,
        # Ten times the full rate, as LoRA's: what trains is small beside what it is added to. The paper searches
        # 1e-4..1e-3 (BERT). MiniLM, 200 labels of bbc-news, quick effort (twice this rate), one seed: 0.913 (0.887 to
        # 0.939) of the test rows; of 40 validation rows 0.900 with the solved head alone, 0.950 after 40 steps. The
        # rate for convolutions is LoRA's, not measured.
        rates=replace(Full.card.rates, body=5e-4, convolutions=2e-3, quick=2.0),
        passes=2.0,  # hardly any weight gradients
        lighter=())

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        counted = [block.biases for block in facts.blocks]
        if None not in counted and not any(counted):
            return "this model has no biases"
        return super().applies_to(facts, device)

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        network.freeze(all_but_biases((*network.stack.names, HEAD)))


METHOD: Method = BitFit()
