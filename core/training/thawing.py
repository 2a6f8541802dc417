"""Blocks that thaw one after another: which are frozen at a step, and at which rates they train."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from core.domain.freeze import groups_from_top
from core.domain.recipe import Recipe
from core.models import methods

ROUNDING = 1e-9
"""A third of the steps is a whole number where it is one, however the share is rounded."""


def groups(recipe: Recipe, blocks: Sequence[str]) -> list[tuple[str, ...]]:
    """The blocks that thaw together, the uppermost first; all in one where the method thaws nothing."""
    thaws = methods.card_of(recipe.method).thawing
    return groups_from_top(blocks, 1 if thaws is None else thaws.groups)


def starts(recipe: Recipe, blocks: Sequence[str], total: int) -> list[int]:
    """The step (from 0) at which each of the `groups` begins to train, of so many in all: k / (n - 1) of the share of
    the steps in which they thaw, rounded down."""
    thaws, count = methods.card_of(recipe.method).thawing, len(groups(recipe, blocks))
    share = 0.0 if thaws is None else thaws.by
    return [math.floor(share * total * above / max(1, count - 1) + ROUNDING) for above in range(count)]


def frozen_at(recipe: Recipe, blocks: Sequence[str], step: int, total: int) -> tuple[str, ...]:
    """The blocks that are still frozen at this step (from 0) of so many."""
    return tuple(block for group, start in zip(groups(recipe, blocks), starts(recipe, blocks, total), strict=True)
                 if step < start for block in group)


def stages(recipe: Recipe, blocks: Sequence[str], total: int) -> list[tuple[int, tuple[str, ...]]]:
    """(step before which this holds, blocks that are frozen until then), in order; none once all have thawed."""
    return [(until, frozen_at(recipe, blocks, since, total))
            for since, until in pairwise(sorted(set(starts(recipe, blocks, total))))]


def factors(recipe: Recipe, blocks: Sequence[str]) -> dict[str, float]:
    """Block -> the factor of its learning rate: by group where they thaw, else by the plan's decay a block."""
    thaws = methods.card_of(recipe.method).thawing
    if thaws is None:
        top = len(blocks) - 1
        return {name: recipe.freeze.layer_decay ** (top - place) for place, name in enumerate(blocks)}
    return {name: thaws.decay ** above for above, group in enumerate(groups(recipe, blocks)) for name in group}
