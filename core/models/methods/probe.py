"""Linear probe: the body stays frozen, the head is solved as a convex problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.freeze import all_but_head
from core.domain.recipe import Recipe
from core.models.methods.base import Always, Card

if TYPE_CHECKING:
    from core.models.network import Network


class Probe(Always):
    """Logistic regression on the cached features of the frozen body (Alain & Bengio 2016)."""

    card = Card(name="probe", label="Linear probe", colour_index=0, solved=True, knobs=("max_length", "pooling", "precision"),
                summary="Keeps the whole base model frozen and only fits a new head on its features. Fastest, and a baseline to beat.")

    def make_trainable(self, network: Network, recipe: Recipe) -> None:
        network.freeze(all_but_head(network.stack.names))
