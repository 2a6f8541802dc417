"""A run's recipe with nothing left to the device: decided at the first execution, the same ever after."""

from __future__ import annotations

from pathlib import Path

from core.domain import resolve
from core.domain.recipe import Recipe
from core.models.untrusted import json_object
from core.settings import Settings
from core.training import device as device_module


def resolved(recipe: Recipe, *, run_dir: Path, settings: Settings) -> Recipe:
    """What the run folder says it computed in before, else what this device does faster.

    Most recipes are resolved when they are submitted (`core.domain.resolve`); this is for those that were submitted
    before the device was measured, or by a version that left them open.
    """
    if not resolve.is_open(recipe):
        return recipe
    if (before := json_object(run_dir / "recipe.json")) and (kept := _filled(recipe, Recipe.from_json(before))):
        recipe = kept
    environment = json_object(run_dir / "environment.json")  # of a run that ended before recipes were resolved
    if recipe.precision == resolve.AUTO and "precision" in environment:
        recipe = recipe.replace(precision=str(environment["precision"]))
    return resolve.resolved(recipe, device_module.read(settings)) if resolve.is_open(recipe) else recipe


def _filled(recipe: Recipe, kept: Recipe) -> Recipe | None:
    """`kept`, when it is this recipe with what it leaves open filled in; None when it is another recipe."""
    same = recipe.replace(precision=kept.precision if recipe.precision == resolve.AUTO else recipe.precision,
                          optimizer=kept.optimizer if recipe.optimizer == resolve.AUTO else recipe.optimizer)
    return kept if same == kept else None
