"""Which colour, marker and dash a run keeps in every chart. What it is called: `core.planning.names`."""

from __future__ import annotations

from core.domain.recipe import Recipe
from core.models.methods import REGISTRY


def index(recipe: Recipe | None) -> int:
    """The colour index of a run's arm."""
    return REGISTRY[recipe.method].card.colour_index if recipe and recipe.method in REGISTRY else 0
