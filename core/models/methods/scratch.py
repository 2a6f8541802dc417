"""From scratch: the same architecture and budget without the pretrained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain import freeze
from core.domain.freeze import FreezePlan
from core.domain.model import Weights
from core.domain.recipe import Recipe
from core.models.methods.base import TRAINING_KNOBS, Always, Card, Method, Rates

if TYPE_CHECKING:
    from core.models.network import Network


class Scratch(Always):
    """Fresh random weights: what the same steps reach without transfer."""

    card = Card(
        name="scratch",
        label="From scratch",
        summary="Same architecture, random weights, same budget: shows how much the pretrained weights are worth.",
        own_head="",
        own_head_only=False,
        advice="Train from scratch",
        colour_index=5,
        everyday=True,
        preselected=False,
        knobs=tuple(knob for knob in TRAINING_KNOBS if knob not in ("head_init", "batch_norm")),
        weights=Weights.FRESH,
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
            body=5e-4,  # no pretrained weights to lose: ten times the fine-tuning rate, the usual one of small encoders
            convolutions=2e-3,
            head=1e-3,  # a random head wants more than the body under it
            quick=1.0),
        passes=3.0,
        lighter=())  # another method would not show what it is for

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        network.freeze(FreezePlan(), batch_norm="batch")  # fresh weights have no statistics worth keeping


METHOD: Method = Scratch()
