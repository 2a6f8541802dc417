"""Full fine-tuning: every weight trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import freeze
from core.domain.freeze import FreezePlan
from core.domain.model import Weights
from core.domain.recipe import Recipe
from core.models.methods.base import SOLVED_HEAD_RATE, TRAINING_KNOBS, Always, Card, Method, Rates

if TYPE_CHECKING:
    from core.models.network import Network


class Full(Always):
    """All blocks and the head train from the pretrained weights."""

    card = Card(
        name="full",
        label="Full fine-tuning",
        summary="Trains every weight, starting from the pretrained ones. "
                "Needs the most memory: gradients and optimiser for all.",
        own_head="",
        own_head_only=False,
        advice="Train every weight",
        colour_index=2,
        everyday=True,
        preselected=True,
        knobs=TRAINING_KNOBS,
        weights=Weights.PRETRAINED,
        needs_freeze_plan=False,
        default_plan=freeze.none,
        adapter=None,
        solved=False,
        head_first=0.0,
        thawing=None,
        pull=0.0,
        to_base=0.0,
        replay=0.0,
        contrast=0.0,
        rates=Rates(
            # The upper end of BERT's 2e-5..5e-5 (Devlin et al. 2019): the models here are small and the budget short.
            body=5e-5,
            # EfficientNet-Lite0 on 450 OpenMoji, 87 steps on stored BatchNorm statistics: 0.709 at 5e-5, 0.720 at
            # 1.5e-4, 0.712 at 5e-4. (On batch statistics it reached 0.489 at 1.5e-4.)
            convolutions=1.5e-4,
            head=SOLVED_HEAD_RATE,
            quick=1.0),
        passes=3.0,
        lighter=("lora", "qlora", "partial"))

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        network.freeze(FreezePlan(), batch_norm=recipe.batch_norm)


METHOD: Method = Full()
