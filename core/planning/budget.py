"""A label budget: how many labelled rows a run may use in all, and how they are shared between training and
validation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


def limited(budget: int | None, *, train: int, validation: int) -> int | None:
    """The budget as a recipe keeps it: None where it is not below the labels there are (0 training rows: not known
    yet).
    """
    return budget if budget is not None and (not train or budget < train + validation) else None


ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """Label budgets as a person typed them, read for one dataset."""

    values: tuple[int | None, ...]
    """What can be run, each once; None = all labelled rows."""
    problems: tuple[str, ...] = ()
    """Entries that cannot be run, each in a sentence that says why."""
    notes: tuple[str, ...] = ()
    """Entries that mean something else than they say, each in a sentence."""


def read(texts: Sequence[str], *, train: int, validation: int, classes: int) -> Budgets:
    """`["all", "32", "many"]` for a dataset of that many labelled rows and classes. What is wrong with one entry leaves
    the others as they are. Nothing typed means all rows.
    """
    there = train + validation
    values: list[int | None] = []
    problems, notes = [], []
    for text in (part.strip() for part in texts if part.strip()):
        number = text.replace(",", "").replace("_", "")
        if text.lower() == ALL:
            values.append(None)
        elif not (number.isascii() and number.isdigit()):
            problems.append(f"The label budget {text[:40]!r} is not a number of labels. Use whole numbers such as 128, "
                            "or all.")
        elif (count := int(number[:18])) < max(2, classes):
            problems.append(f"A label budget of {count:,} is too small: with {classes} classes it takes at least "
                            f"{max(2, classes)}, one label a class.")
        elif limited(count, train=train, validation=validation) is None:
            notes.append(f"{count:,} is not less than the {there:,} labelled rows there are (training and validation), "
                         "so it means all of them.")
            values.append(None)
        else:
            values.append(count)
    if not values and not problems:
        values = [None]
    return Budgets(values=tuple(sorted(set(values), key=lambda n: math.inf if n is None else n)),
                   problems=tuple(problems), notes=tuple(notes))
