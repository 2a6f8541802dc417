"""Linear probe: the body stays frozen, the head is solved as a convex problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.freeze import HEAD, FreezePlan, all_but_head
from core.domain.model import Weights
from core.domain.recipe import Recipe
from core.models.methods.base import SOLVED_HEAD_RATE, Always, Card, Method, Rates

if TYPE_CHECKING:
    from core.models.network import Network


class Probe(Always):
    """Logistic regression on the cached features of the frozen body (Alain & Bengio 2016)."""

    card = Card(
        name="probe",
        label="Linear probe",
        summary="Keeps the whole base model frozen and only fits a new head on its features. "
                "Fastest, and a baseline to beat.",
        own_head="The untouched model: nothing trains, its answers are measured as they are (zero-shot). "
                 "The baseline to beat.",
        own_head_only=False,
        advice="Use the linear probe",
        colour_index=0,
        everyday=True,
        preselected=True,
        knobs=("max_length", "pooling", "precision", "taught"),
        weights=Weights.PRETRAINED,
        needs_freeze_plan=False,
        default_plan=all_but_head,
        adapter=None,
        solved=True,
        head_first=0.0,
        thawing=None,
        pull=0.0,
        to_base=0.0,
        replay=0.0,
        contrast=0.0,
        rates=Rates(body=5e-5, convolutions=5e-5, head=SOLVED_HEAD_RATE, quick=1.0),  # not used: nothing is stepped
        passes=0.0,
        lighter=())

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        own_head = (HEAD,) if network.scores_tokens else ()  # it stays as it is, too
        network.freeze(FreezePlan(frozen=(*network.stack.names, *own_head)))


METHOD: Method = Probe()
