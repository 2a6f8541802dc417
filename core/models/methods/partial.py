"""Partial fine-tuning: the blocks that the freeze plan leaves open train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.freeze import lower_half
from core.domain.model import Weights
from core.domain.recipe import Recipe
from core.models.methods.base import SOLVED_HEAD_RATE, TRAINING_KNOBS, Always, Card, Method, Rates

if TYPE_CHECKING:
    from core.models.network import Network


class Partial(Always):
    """Any freeze plan; frozen blocks below the first open one are run once and cached."""

    card = Card(
        name="partial",
        label="Partly frozen",
        summary="Freezes the blocks you choose and trains the rest. "
                "Early blocks hold general features, late ones task features.",
        own_head="",
        own_head_only=False,
        advice="Freeze the lower half (partly frozen)",
        colour_index=1,
        everyday=True,
        preselected=True,
        knobs=("freeze", *TRAINING_KNOBS),
        weights=Weights.PRETRAINED,
        needs_freeze_plan=True,
        default_plan=lower_half,  # general features lie there
        adapter=None,
        solved=False,
        head_first=0.0,
        thawing=None,
        pull=0.0,
        to_base=0.0,
        replay=0.0,
        contrast=0.0,
        rates=Rates(
            body=5e-5,
            # Full fine-tuning's, so that the two differ by what is frozen. EfficientNet-Lite0 half frozen, 160 rows, 40
            # steps, two seeds, at 5e-4 and at this rate: scikit-learn digits 0.579 (the first steps lost what the
            # solved head began with) and 0.792, MNIST 0.881 and 0.862, OpenMoji 0.648 and 0.644, Noto Emoji 0.535 and
            # 0.475.
            convolutions=1.5e-4,
            head=SOLVED_HEAD_RATE,
            quick=1.0),
        passes=3.0,
        lighter=("lora", "qlora"))

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        network.freeze(recipe.freeze, batch_norm=recipe.batch_norm)


METHOD: Method = Partial()
