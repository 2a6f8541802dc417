"""What differs between tasks, one file each; `REGISTRY` names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.dataset import Task
from core.errors import RecipeError

if TYPE_CHECKING:
    from core.tasks.base import TaskAdapter


def adapter(task: Task | str) -> TaskAdapter:
    """The adapter of a task; raises RecipeError for a task that is not in the registry."""
    from core.tasks.image_classification import ImageClassification
    from core.tasks.text_classification import TextClassification

    registry: dict[str, TaskAdapter] = {Task.TEXT_CLASSIFICATION: TextClassification(), Task.IMAGE_CLASSIFICATION: ImageClassification()}
    if str(task) not in registry:
        raise RecipeError(f"Thaw cannot train for the task {task!r}.", why=f"Known tasks: {', '.join(registry)}.",
                          remedy="Choose one of the known tasks.")
    return registry[str(task)]
