"""LP-FT: solve the head first, then train everything (Kumar et al. 2022, arXiv 2202.10054)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.domain.recipe import Recipe
from core.models.methods.base import TRAINING_KNOBS, Always, Card, Method
from core.models.methods.full import Full

if TYPE_CHECKING:
    from core.models.network import Network


class LpFt(Always):
    """Full fine-tuning that never starts from a random head and leaves the body alone until the head has settled.

    With `head_init: probe` full fine-tuning starts from the solved head too. What this adds: for the first tenth of
    the steps the body's learning rate is zero, its dropout is off and its BatchNorm is on stored statistics, so that
    only the head moves (little, since it starts at the probe's optimum); over the next tenth the body's rate rises from
    zero. Distorted features, which Kumar et al. trace to a head that is still wrong, are thus kept small. All else is
    as in full fine-tuning: it costs as much, at the same rates.
    """

    card: Card = replace(
        Full.card,
        name="lp_ft",
        label="Head first (LP-FT)",
        summary="Full fine-tuning in two steps: the head is solved and settles first, then all weights train. "
                "Meant to distort the pretrained features less.",
        own_head=None,
        advice="Train the head first",
        colour_index=6,
        everyday=False,
        preselected=False,
        knobs=tuple(knob for knob in TRAINING_KNOBS if knob not in ("head_init", "warmup_ratio")),
        head_first=0.1)

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        Full().make_trainable(network, recipe)


METHOD: Method = LpFt()
