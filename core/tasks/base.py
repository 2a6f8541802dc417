"""What a task must say so that the engine can train for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from core.domain.dataset import Depth
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.models.network import Network

Report = Callable[[float, float | None], None]
"""Progress: rows done, rows in all."""


def no_report(done: float, total: float | None) -> None:
    """For callers that show no progress."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """All rows of a dataset, in file order. content: texts or picture paths."""

    row_ids: np.ndarray
    """(n_rows,) int64."""
    content: list[str]
    labels: np.ndarray
    """(n_rows,) int64."""
    splits: np.ndarray
    """(n_rows,) str."""
    classes: tuple[str, ...]
    dataset_hash: str
    depth: Depth | None = None
    """How pictures of more than 8 bits are read; those of a dataset have none, they were converted on import."""

    def of(self, split: str) -> np.ndarray:
        """Indices (not row ids) of the rows of a split."""
        return np.flatnonzero(self.splits == split)


class Encoded(Protocol):
    """Rows made ready for the network, once for all runs that share the encoding."""

    lengths: np.ndarray
    """(n_rows,) int: cost of a row (tokens; 1 for pictures)."""
    ragged: bool
    """Whether rows differ in size (texts do, pictures do not)."""

    def batch(self, indices: np.ndarray, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        """Network inputs of those rows, padded alike, on the CPU, without labels. epoch: given when rows train, and may be augmented."""

    def beside_prefix(self, indices: np.ndarray, *, prefix_axes: int) -> dict[str, torch.Tensor]:
        """What the network needs besides cached activations, which have `prefix_axes` axes a row (tokens 2, feature maps 3)."""


class TaskAdapter(Protocol):
    """One file a task; `core.tasks.adapter` names them."""

    def load_processor(self, folder: Path) -> Any:
        """Tokenizer or image processor of the base model."""

    def encode(self, rows: Rows, *, processor: Any, recipe: Recipe, facts: ModelFacts, cache: Path,
               report: Report = no_report) -> Encoded:
        """Encode all rows, from the cache where they are there."""

    def build(self, folder: Path, *, recipe: Recipe, facts: ModelFacts, n_classes: int, weights: str, dropout: float,
              compute_dtype: torch.dtype, device: str) -> Network:
        """The network of a recipe, before a method makes it trainable."""

    def save_processor(self, processor: Any, folder: Path) -> None:
        """Save what inference needs beside the weights."""
