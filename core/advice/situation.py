"""What advice depends on: the data, the base model and what the trained model is for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.domain.dataset import Dataset, Split, Task

ONE, MANY = "one", "many"
SERVED = {ONE: "One model for one task", MANY: "Many tasks on one base model"}
"""How the trained model will be used: by itself, or as one of many small parts beside a base model that is held once.
"""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One task that somebody wants to train for."""

    task: Task
    labels: int
    """Labelled rows, training and validation together; of language models rows."""
    classes: int
    """0 where rows carry no labels."""
    shift: bool = False
    """Whether there are rows of another domain, which the model has to hold on, too."""
    probe: float | None = None
    """Score of a linear probe on rows that it was not fitted on, 0 to 1: how near the data are to what the base model
    knows. None where none was trained."""
    served: str = ONE

    @property
    def labels_a_class(self) -> float:
        return max(1.0, self.labels / max(1, self.classes))

    @property
    def octave(self) -> float:
        """log2 of the labels a class: twice the labels are one step."""
        return math.log2(self.labels_a_class)


def of(dataset: Dataset, *, budget: int | None = None, probe: float | None = None, served: str = ONE) -> Situation:
    """The situation of a dataset, with all its labels or a budget of them."""
    labels = dataset.rows(Split.TRAIN) + dataset.rows(Split.VALIDATION)
    return Situation(task=dataset.task, labels=min(budget or labels, labels), classes=len(dataset.classes),
                     shift=dataset.rows(Split.SHIFT) > 0, probe=probe, served=served)
