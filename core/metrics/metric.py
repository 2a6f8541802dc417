"""What a metric says of itself, and what a task's judge hands to all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.metrics.scores import check

Floats = NDArray[np.float64]
Parts = Any
"""A numpy array or a scipy sparse array (which comes without types), `(n_rows, n_parts)`."""


class Need(StrEnum):
    """The fields of `Judged` that a metric may need."""

    LABELS = "labels"
    PREDICTIONS = "predictions"
    PROBABILITIES = "probabilities"
    LOSSES = "losses"
    TOKENS = "tokens"
    BYTES = "bytes"
    RIGHT = "right"
    EXACT = "exact"
    ENDS = "ends"
    ANSWERS = "answers"


class Unit(StrEnum):
    """What the numbers of a metric are."""

    SHARE = "share"
    """From 0 to 1; may be shown in per cent."""
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What a task's judge says of the rows of one split; a field is None where the task has no such thing.

    Raises DataError without a row, and where fields are not of the same rows or classes.
    """

    labels: NDArray[np.int64] | None = None
    """Class number of each row, `(n_rows,)`."""
    predictions: NDArray[np.int64] | None = None
    """Predicted class number, `(n_rows,)`."""
    probabilities: NDArray[Any] | None = None
    """Of every class, `(n_rows, n_classes)`."""
    losses: NDArray[Any] | None = None
    """Of language models, `(n_rows,)`: the loss of a row's taught tokens together, in nats."""
    tokens: NDArray[Any] | None = None
    """Taught tokens."""
    bytes: NDArray[Any] | None = None
    """UTF-8 bytes of the text that the taught tokens stand for."""
    right: NDArray[Any] | None = None
    """Taught tokens that were the likeliest, given the true ones before them."""
    exact: NDArray[Any] | None = None
    """Of conversations: 1 where every token of the last answer was the likeliest, so that always taking the likeliest
    gives exactly that answer; else 0."""
    ends: NDArray[Any] | None = None
    """Of conversations: 1 where the end token was the likeliest behind the last answer; else 0."""
    answers: NDArray[np.int64] | None = None
    """Number of the last answer, where answers come from a small closed set."""
    groups: NDArray[np.int64] | None = None
    """Rows of one group (a book, a conversation) are not independent: intervals and tests resample groups. None where
    each row stands for itself."""

    def __post_init__(self) -> None:
        sizes = {need: len(values) for need in Need if (values := self.get(need)) is not None}
        if len(set(sizes.values())) != 1 or 0 in sizes.values():
            found = ", ".join(f"{size} {need}" for need, size in sizes.items()) or "nothing"
            raise DataError("These rows cannot be scored.",
                            why=f"There are {found}; scoring needs each for the same rows, and a row.",
                            remedy="Score predictions against the labels of the same rows.")
        if self.groups is not None and len(self.groups) != self.n_rows:
            raise DataError("These rows cannot be scored.",
                            why=f"There are {len(self.groups)} groups for {self.n_rows} rows.",
                            remedy="Name a group for every row.")
        if self.labels is not None and self.predictions is not None:
            limit = None if self.probabilities is None else self.probabilities.shape[1]
            labels, predictions = check(self.labels, self.predictions, limit)
            object.__setattr__(self, "labels", labels)
            object.__setattr__(self, "predictions", predictions)

    def get(self, need: Need) -> NDArray[Any] | None:
        """The field of that name; None where the task has no such thing."""
        values: NDArray[Any] | None = getattr(self, need.value)
        return values

    def of(self, need: Need) -> NDArray[Any]:
        """The field of that name, for a metric that has said that it needs it."""
        values = self.get(need)
        if values is None:
            raise DataError(f"These rows have no {need}.", remedy="Ask only for metrics that apply to them.")
        return values

    @property
    def n_rows(self) -> int:
        return next(len(values) for need in Need if (values := self.get(need)) is not None)

    @property
    def n_classes(self) -> int:
        """Of the probabilities; without them, those that occur."""
        if self.probabilities is not None:
            return int(self.probabilities.shape[1])
        return 1 + max(int(values.max()) for values in (self.labels, self.predictions) if values is not None)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of a run on the rows of a split: one file that says all that pages, charts, documents and tests ask.

    Its value is a function of sums over rows, so that resampling rows (intervals, paired tests, seeds) is one matrix
    product.
    """

    name: str
    """Key in results and documents; stays as it is once results hold it."""
    label: str
    """On screen, inside a sentence: `accuracy`."""
    meaning: str
    """One sentence for people."""
    higher_is_better: bool
    unit: Unit
    needs: frozenset[Need]
    parts: Callable[[Judged], Parts]
    """What each row adds to the sums, `(n_rows, n_parts)`."""
    classes_alike: bool = False
    """Whether every class counts the same, however many rows it has."""
    score: Callable[[NDArray[Any], Any], Floats] | None = None
    """Sums `(…, n_parts)` of that many rows -> values `(…)`.

    None: the mean of the one part, so that each row has a value of its own.
    """

    def applies_to(self, judged: Judged) -> bool:
        """Whether the judge gave all that this metric needs."""
        return all(judged.get(need) is not None for need in self.needs)

    def of_sums(self, sums: NDArray[Any], n_rows: int | NDArray[Any]) -> Floats:
        """Sums over rows `(…, n_parts)` -> values `(…)`. n_rows: of each sum, where they differ."""
        return np.asarray(sums[..., 0] / n_rows if self.score is None else self.score(sums, n_rows), np.float64)

    def value(self, judged: Judged) -> float:
        """The value over all rows."""
        return float(self.of_sums(np.asarray(self.parts(judged).sum(axis=0)), judged.n_rows))

    def row_values(self, judged: Judged) -> Floats | None:
        """A value a row whose mean is the metric, `(n_rows,)`; None for metrics that only a set of rows has."""
        return None if self.score is not None else np.asarray(self.parts(judged)[:, 0], np.float64)

    @property
    def sign(self) -> int:
        """1 where higher is better, else −1."""
        return 1 if self.higher_is_better else -1

    @property
    def explanation(self) -> str:
        """What it means and which way is better, for people."""
        return f"{self.meaning} {'Higher' if self.higher_is_better else 'Lower'} is better."

    def on(self, split: str) -> str:
        """Its name on screen for a split: `test accuracy`."""
        return f"{split} {self.label}"

    def heading(self, split: str) -> str:
        """The same at the head of a column or a number: `Test accuracy`."""
        return f"{split.capitalize()} {self.label}"
