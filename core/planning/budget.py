"""A label budget: how many labelled rows a run may use in all, and how they are shared between training and
validation.
"""

from __future__ import annotations

from core.domain.dataset import Dataset, Split
from core.domain.recipe import Recipe
from core.models import methods

LABELS, TRAINING = "labels", "training"
"""What a recipe's budget counts: every label used; or, in recipes made before that, training rows only, and all
validation rows.
"""
VALIDATION_SHARE = 0.2
"""Of the budget, for choosing the checkpoint."""
LEAST_VALIDATION = 20
"""With fewer rows (or fewer than two a class) a checkpoint is chosen by chance: then all train, and the last
checkpoint is kept.
"""


def shared(recipe: Recipe, *, train: int, validation: int, classes: int) -> tuple[int, int]:
    """(training rows, validation rows) that a run uses of those there are; with a budget their sum never exceeds it.

    A solved head needs no validation rows under a budget (it is chosen by cross-validation), so all of them train.
    """
    budget = recipe.label_budget
    if recipe.budget_counts == TRAINING:
        return min(train, budget or train), validation
    if budget is None or budget >= train + validation:
        return train, validation
    if methods.card_of(recipe.method).solved:
        return min(train, budget), 0
    share = min(validation, round(VALIDATION_SHARE * budget))
    if share < max(LEAST_VALIDATION, 2 * classes):
        share = 0
    taken = min(train, budget - share)
    return taken, min(validation, budget - taken) if share else 0


def of_dataset(recipe: Recipe, dataset: Dataset) -> tuple[int, int]:
    """`shared`, of the rows that a dataset has."""
    return shared(recipe, train=dataset.rows(Split.TRAIN), validation=dataset.rows(Split.VALIDATION),
                  classes=len(dataset.classes))


def in_words(recipe: Recipe) -> str:
    """`128 labels`, or what an older recipe counted: `128 training rows`."""
    return f"{recipe.label_budget or 0:,} {'labels' if recipe.budget_counts == LABELS else 'training rows'}"


def limited(budget: int | None, *, train: int, validation: int) -> int | None:
    """The budget as a recipe keeps it: None where it is not below the labels there are (0 training rows: not known
    yet).
    """
    return budget if budget is not None and (not train or budget < train + validation) else None
