"""The registry of tasks. A new task is one file in this folder, one line here, and its name in
`core.domain.dataset.Task`."""

from __future__ import annotations

from core.domain.dataset import Task
from core.errors import RecipeError
from core.tasks.base import Card, Objective
from core.tasks.image_classification import ImageClassification
from core.tasks.language_modelling import LanguageModelling
from core.tasks.text_classification import TextClassification

REGISTRY: dict[str, type[Objective]] = {
    Task.TEXT_CLASSIFICATION: TextClassification,
    Task.IMAGE_CLASSIFICATION: ImageClassification,
    Task.LANGUAGE_MODELLING: LanguageModelling,
}


CARDS: dict[str, Card] = {name: task.card for name, task in REGISTRY.items()}


def get(task: Task | str) -> type[Objective]:
    """The class of a task; raises RecipeError for one that is not in the registry."""
    if str(task) not in REGISTRY:
        raise RecipeError(f"Thaw cannot train for the task {str(task)!r}.", why=f"Known tasks: {', '.join(REGISTRY)}.",
                          remedy="Choose one of the known tasks.")
    return REGISTRY[str(task)]


def card(task: Task | str) -> Card:
    """What a task says of itself."""
    return CARDS[str(task)]


__all__ = ["CARDS", "REGISTRY", "Card", "Objective", "card", "get"]
