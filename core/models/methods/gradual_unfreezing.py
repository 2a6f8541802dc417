"""Gradual unfreezing with discriminative rates (ULMFiT; Howard and Ruder 2018, arXiv 1801.06146)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.recipe import Recipe
from core.models.methods.base import TRAINING_KNOBS, Always, Card, Method, Thawing
from core.models.methods.full import Full

if TYPE_CHECKING:
    from core.models.network import Network


class GradualUnfreezing(Always):
    """The last layers thaw first, one group more at each stage, until all train; each group at a lower rate than the
    one above it.

    The paper's model has four layers below its head, thaws one an epoch, and divides the rate by 2.6 from each to the
    next lower one. Deeper models are cut into four groups of neighbouring blocks, the embeddings with the lowest (12
    blocks: 10 to 12, 7 to 9, 4 to 6, 1 to 3 and the embeddings), so that the lowest still learns at 1/18 of the
    uppermost's rate: a block each, it would be 1/37,000. The uppermost trains from the first step, the others follow
    after 1/9, 2/9 and 1/3 of the steps; the remaining two thirds are full fine-tuning at these rates. The paper's first
    stage, the head alone, is the solved head. A part that several groups use thaws with the lowest of them; an output
    layer of the model's own trains from the first step, unless it is the embedding.

    A group that waits gets no gradient, is in eval mode and has no optimiser state; nothing of it is cached, so nothing
    goes stale when it thaws (a stage is some ninth of the steps: the rows that would have to be passed once for a cache
    are more than a stage reads, in runs of less than nine epochs). Warm-up and linear fall are those of all steps.
    """

    card: Card = replace(
        Full.card,
        name="gradual_unfreezing",
        label="Gradual unfreezing",
        summary="Thaws the pretrained weights from the top down over the first third of the steps, lower ones at ever "
                "lower rates. Meant to keep the general features below.",
        own_head="Thaws the blocks from the top down over the first third of the steps, lower ones at ever lower "
                 "rates.",
        advice="Thaw from the top down",
        colour_index=17,
        everyday=False,
        preselected=False,
        knobs=tuple(knob for knob in TRAINING_KNOBS if knob != "head_init"),
        thawing=Thawing(groups=4, by=1 / 3, decay=1 / 2.6),
        # Of the uppermost group. Twice full fine-tuning's, so that the mean of the four groups' (in logarithms, half of
        # it: 1e-4 / 2.6^1.5 = 2.4e-5) is inside the 2e-5..5e-5 that BERT's authors search. Not measured here.
        rates=replace(Full.card.rates, body=1e-4, convolutions=3e-4),
        # A third of the steps goes backwards through a quarter to three quarters of the blocks: 3 - 1/3 · 2 · 1/2.
        passes=2.7)

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        Full().make_trainable(network, recipe)


METHOD: Method = GradualUnfreezing()
