"""WiSE-FT: fine-tune fully, then go halfway back (Wortsman et al. 2021, arXiv 2109.01903)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.recipe import Recipe
from core.models.methods.base import TRAINING_KNOBS, Always, Card, Method
from core.models.methods.full import Full

if TYPE_CHECKING:
    import torch

    from core.models.network import Network

KEPT = 0.5
"""Share of the change that stays. One half is what the paper takes where no rows of the other domain may
choose it."""


class WiseFt(Always):
    """Full fine-tuning from the solved head, after which every weight that trained, in body and head, is the mean of
    what it was at the start and what it became: W = 0.5 · W_start + 0.5 · W_tuned.

    The paper's start is a zero-shot classifier; here it is the pretrained body with the solved probe as its head (of a
    language model: the untouched model), which needs no step to be useful either. While it trains, this is full
    fine-tuning: it costs as much, at the same rates, and the step that is kept is chosen by what the trained weights
    score on validation rows. The mean is taken of that step alone; all numbers of the finished run, those of its
    validation rows too, are the mean's. (Running averages of BatchNorm, where they follow batches, are averaged alike.)
    """

    card: Card = replace(
        Full.card,
        name="wise_ft",
        label="Halfway back (WiSE-FT)",
        summary="Full fine-tuning from the solved head; then all weights are put halfway back to where they started. "
                "Meant to keep more of what the pretrained model knew beyond this data.",
        own_head="Trains every weight, then puts all of them halfway back to the untouched model. "
                 "Meant to forget less.",
        advice="Go halfway back",
        colour_index=8,
        everyday=False,
        preselected=False,
        knobs=tuple(knob for knob in TRAINING_KNOBS if knob != "head_init"))

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        Full().make_trainable(network, recipe)

    def after_training(self, network: Network, start: Mapping[str, torch.Tensor]) -> str:
        import torch

        tuned = network.trained_state()
        network.load_trained({name: torch.lerp(start[name].float(), tuned[name].float(), KEPT) for name in tuned})
        return ("All weights that trained were put halfway back to where they started. The step was chosen by what "
                "the trained weights scored on validation rows; the numbers that follow are those of the mean.")


METHOD: Method = WiseFt()
