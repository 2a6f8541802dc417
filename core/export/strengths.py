"""Which formats can be written of a run whose trained change is turned up or down; no torch."""

from __future__ import annotations

from core.analysis import strength_files
from core.domain.recipe import Recipe
from core.models import methods

WHY_NOT = {
    "script": "A script trains again from the recipe, and a strength is turned after training.",
    "card": "A model card tells what was measured of the model as it was trained.",
}


def refusal(form: str, recipe: Recipe) -> str | None:
    """Why a run cannot be written in this format at another strength, as a sentence; None where it can."""
    if why := strength_files.refusal(recipe):
        return why
    card = methods.card_of(recipe.method)
    if card.solved:
        return "Its method trains no weight of the base model, so there is no change to turn."
    if form == "adapter" and card.adapter is not None and not card.adapter.scales:
        return (f"What {card.label} does to a weight is no sum that could be scaled, so a part of its change is no "
                "adapter of its kind.")
    return WHY_NOT.get(form)
