"""Which colour, marker and dash a run has in the charts of several. What it is called: `names`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.domain.recipe import Recipe
from core.domain.run import Run
from core.models.methods import REGISTRY
from core.planning import names
from core.plots import palette
from core.plots.palette import Arm


def index(recipe: Recipe | None) -> int:
    """The colour index of a run's method, the same everywhere."""
    return REGISTRY[recipe.method].card.colour_index if recipe and recipe.method in REGISTRY else 0


def looks(runs: Sequence[Run]) -> dict[str, Arm]:
    """Run id -> its look: a colour a method; where these runs differ in it, a dash a seed and a marker a label budget
    (with one budget, a marker for whatever else sets runs of one method apart)."""
    recipes = {run.id: run.recipe for run in runs if run.recipe is not None}
    seeds = {recipe.seed for recipe in recipes.values()}
    budgets = {recipe.label_budget for recipe in recipes.values()}
    kinds: dict[str, list[str]] = {}
    for recipe in recipes.values():
        kinds.setdefault(recipe.method, []).append(_but_seed(recipe))
    found = {}
    for id, recipe in recipes.items():
        alike, marker = list(dict.fromkeys(kinds[recipe.method])), None
        if len(budgets) > 1:
            marker = sorted(budgets, key=lambda n: n or float("inf")).index(recipe.label_budget)
        elif len(alike) > 1:
            marker = alike.index(_but_seed(recipe))
        dash = sorted(seeds).index(recipe.seed) if len(seeds) > 1 else None
        found[id] = palette.arm(index(recipe), marker=marker, dash=dash)
    return {run.id: found.get(run.id) or palette.arm(0) for run in runs}


def coloured(kinds: Mapping[str, str]) -> dict[str, Arm]:
    """Run id -> a look for its kind: the same for all of one kind, in the order in which kinds turn up."""
    places = {kind: place for place, kind in enumerate(dict.fromkeys(kinds.values()))}
    return {id: palette.arm(places[kind]) for id, kind in kinds.items()}


def _but_seed(recipe: Recipe) -> str:
    return repr(recipe.replace(seed=0))


def line_of(recipe: Recipe, others: Sequence[Recipe]) -> str:
    """The line of a run in a chart over labelled rows: its method, and what is frozen where that differs within it."""
    frozen = {names.frozen(other) for other in others if other.method == recipe.method}
    said = names.method(recipe.method, recipe.task)
    return said if len(frozen) < 2 else f"{said}{names.SEPARATOR}{names.frozen(recipe)}"
