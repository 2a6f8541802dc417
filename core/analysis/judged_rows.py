"""The rows that a run was judged on: both answers, how sure it was, what it lost; and what changed against another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis import feature_paths, predictions, row_facts
from core.analysis.comparison import class_names
from core.analysis.feature_files import BlockFeatures
from core.analysis.predictions import Predictions
from core.analysis.sample import DEFAULT_ROWS
from core.errors import NotFoundError, ThawError
from core.metrics import Need
from core.settings import Settings

LEAST_PROBABILITY = 1e-12
"""Smaller ones count as this much, so that every loss is finite."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """What probabilities say of each row, `(n_rows,)` each."""

    confidence: NDArray[np.float64]
    """Probability of the predicted class."""
    loss: NDArray[np.float64]
    """Minus the natural logarithm of the true class's probability."""
    margin: NDArray[np.float64]
    """Highest probability minus the second highest: 0 = torn between two classes."""
    entropy: NDArray[np.float64]
    """In bits: 0 = sure, log2(n_classes) = no idea."""


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedRows:
    """The rows of one split of one run, or of two on the same rows; `(n_rows,)` each."""

    classes: tuple[str, ...]
    row_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    numbers: Numbers | None
    """None where the run recorded no probabilities."""
    others: NDArray[np.int64] | None = None
    """Predictions of the other run; None without one."""
    change: NDArray[np.float64] | None = None
    """Total variation distance between both runs' probabilities, 0 = the same, 1 = nothing in common; without
    probabilities 1 where the predictions differ."""

    @property
    def right(self) -> NDArray[np.bool_]:
        return self.predictions == self.labels

    def outcome(self, *, a: bool, b: bool) -> NDArray[np.int64]:
        """Places of the rows that this run got right (a) or wrong, and the other (b) right or wrong."""
        assert self.others is not None
        return np.flatnonzero((self.right == a) & ((self.others == self.labels) == b))

    def cell(self, true: int, predicted: int) -> NDArray[np.int64]:
        """Places of the rows of a class that were taken for another (or the same)."""
        return np.flatnonzero((self.labels == true) & (self.predictions == predicted))

    def ordered(self, by: str, places: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """These places (all without), `worst` = highest loss, `doubtful` = smallest margin, `changed` = largest change
        first."""
        there = np.arange(len(self.row_ids)) if places is None else places
        if by == "changed" and self.change is not None:
            key = -self.change
        elif self.numbers is not None:
            key = self.numbers.margin if by == "doubtful" else -self.numbers.loss
        else:
            key = self.right.astype(float)  # wrong rows first
        return there[np.argsort(key[there], kind="stable")]

    def records(self, places: Sequence[int] | NDArray[np.int64], *, a: str = "", b: str = "") -> list[dict[str, Any]]:
        """Rows as a table shows them. a, b: what the runs are called, where there are two."""
        said = f"Predicted ({a})" if a and self.others is not None else "Predicted"
        found = []
        for place in places:
            row: dict[str, Any] = {"row_id": int(self.row_ids[place]), "True": self.classes[self.labels[place]],
                                   said: self.classes[self.predictions[place]]}
            if self.others is not None:
                row[f"Predicted ({b})"] = self.classes[self.others[place]]
            if self.numbers is not None:
                row |= {"Sure": float(self.numbers.confidence[place]), "Loss": float(self.numbers.loss[place]),
                        "Margin": float(self.numbers.margin[place]), "Entropy": float(self.numbers.entropy[place])}
            if self.change is not None:
                row["Change"] = float(self.change[place])
            found.append(row)
        return found


def of_run(folder: Path, split: str = "test", *, other: Path | None = None) -> JudgedRows | None:
    """The rows of a run folder, and how another run answered them; None when it has no predictions with labels.

    Raises NotFoundError when the other run was not judged on the same rows, DataError when its predictions are damaged.
    """
    found = predictions.read(folder, split)
    if found is None or found.judged.labels is None or found.judged.predictions is None:
        return None
    labels, guesses = found.judged.labels, found.judged.predictions
    classes = class_names(folder)
    count = max(len(classes), int(labels.max()) + 1, int(guesses.max()) + 1)
    classes += tuple(f"class {i}" for i in range(len(classes), count))
    others, change = (None, None) if other is None else _beside(found, predictions.read_other(other, split))
    return JudgedRows(classes=classes, row_ids=found.row_ids, labels=labels, predictions=guesses,
                      numbers=numbers(found.judged.probabilities, labels, guesses), others=others, change=change)


def has_base(folder: Path, *, settings: Settings) -> bool:
    """Whether `beside_base` has something to say: the probe on the base model is kept, and its features are made."""
    return row_facts.base_head(folder).is_file() and _base_features(folder, settings) is not None


def beside_base(folder: Path, split: str = "test", *, settings: Settings) -> JudgedRows | None:
    """The rows of a run whose base features are stored, and how the base model with a probe as head answers them; None
    without any."""
    found, path = of_run(folder, split), _base_features(folder, settings)
    if found is None or path is None:
        return None
    features = BlockFeatures.load(path)
    ids, own, there = np.intersect1d(found.row_ids, features.row_ids, return_indices=True)
    if not len(ids):
        return None
    logits = row_facts.base_logits(folder, list(features.blocks.values())[-1][there]).astype(np.float64)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    guesses = p.argmax(axis=1)
    mine = predictions.read(folder, split)
    probabilities = mine.judged.probabilities if mine is not None else None
    if probabilities is not None and probabilities.shape[1] == p.shape[1]:
        change = np.abs(np.asarray(probabilities, np.float64)[own] - p).sum(axis=1) / 2
    else:
        change = (found.predictions[own] != guesses).astype(np.float64)
    kept = found.numbers and Numbers(**{field.name: getattr(found.numbers, field.name)[own]
                                        for field in dataclasses.fields(Numbers)})
    return replace(found, row_ids=ids, labels=found.labels[own], predictions=found.predictions[own], numbers=kept,
                   others=guesses, change=change)


def _base_features(folder: Path, settings: Settings) -> Path | None:
    """Those of the usual probe sample."""
    try:
        path = feature_paths.of_run(folder, settings=settings, rows=DEFAULT_ROWS).base
    except ThawError:  # the base model is gone or another one now
        return None
    return path if path.is_file() else None


def numbers(probabilities: NDArray[Any] | None, labels: NDArray[np.int64],
            guesses: NDArray[np.int64]) -> Numbers | None:
    """probabilities: `(n_rows, n_classes)`."""
    if probabilities is None:
        return None
    p = np.asarray(probabilities, np.float64)
    rows = np.arange(len(p))
    top = np.sort(p, axis=1)[:, ::-1]
    safe = np.maximum(p, LEAST_PROBABILITY)
    return Numbers(confidence=p[rows, guesses], loss=-np.log(safe[rows, labels]),
                   margin=top[:, 0] - (top[:, 1] if p.shape[1] > 1 else 0.0),
                   entropy=np.maximum(0.0, -(p * np.log2(safe)).sum(axis=1)))


def _beside(own: Predictions, other: Predictions | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if other is None or other.judged.predictions is None or not own.same_rows(other):
        raise NotFoundError("These two runs cannot be compared row by row.",
                            why="They were not judged on the same rows.",
                            remedy="Choose two runs of the same dataset.")
    mine, theirs = own.judged.probabilities, other.judged.probabilities
    if mine is None or theirs is None or mine.shape != theirs.shape:
        differ = np.not_equal(own.judged.of(Need.PREDICTIONS), other.judged.predictions)
        return other.judged.predictions, differ.astype(np.float64)
    return other.judged.predictions, np.abs(np.asarray(mine, np.float64) - theirs).sum(axis=1) / 2
