"""What a task says of itself, and what it must do so that `core.training` can train for it. Importing this needs no
torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from core.domain.dataset import Content, Depth, Role, Shape, Task
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.metrics import Judged

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

    from core.data.report import Finding
    from core.features.encoded import Encoded
    from core.models.network import Network

Report = Callable[[float, float | None], None]
"""Progress: rows done, rows in all."""
Outputs = dict[str, np.ndarray]
"""What is kept of what a network said: name -> (n_rows, …) fp32, one entry a row."""


def no_report(done: float, total: float | None) -> None:
    """For callers that show no progress."""


class Unit(StrEnum):
    """What the cost of a row is counted in."""

    TOKEN = "token"
    PICTURE = "picture"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What pages, planning and analysis ask about a task."""

    task: Task
    label: str
    things: str
    """What the rows of its datasets are, in the plural, as pages say it."""
    unit: Unit
    roles: tuple[Role, ...]
    """What a column of its tables can be used for, in the order in which a page offers it."""
    needed: tuple[Role, ...]
    """Roles that exactly one column has."""
    unused: tuple[str, ...]
    """Recipe fields (dotted) that have no effect on it."""
    new_head: bool
    """Whether a new linear head is put on the pooled feature, where it can be solved without a training step; else the
    base model's own head is used."""
    rate_share: float
    """Of the learning rates that methods propose, which are for classification."""
    batch_rows: int
    """Rows looked at together, unless few rows or little memory call for fewer."""
    example_model: str
    """A hub id, as a hint where a base model is typed."""

    @property
    def content(self) -> Content:
        """What its rows hold."""
        return self.task.content

    def uses(self, field: str) -> bool:
        """Whether a recipe field (dotted) has an effect."""
        return field not in self.unused

    def head_parameters(self, width: int, classes: int) -> int:
        """Parameters of the new head on pooled features of that width."""
        return (width + 1) * classes if self.new_head else 0


@dataclass(frozen=True, kw_only=True)
class Rows:
    """All rows of a dataset, in file order. content: texts or picture paths."""

    row_ids: np.ndarray
    """(n_rows,) int64."""
    content: list[str]
    labels: np.ndarray
    """(n_rows,) int64: index into `classes`, −1 where a row has none."""
    splits: np.ndarray
    """(n_rows,) str."""
    classes: tuple[str, ...] = ()
    dataset_hash: str
    groups: np.ndarray | None = None
    """(n_rows,) int64: rows of one group (a book, a conversation) are not independent; None where each row stands for
    itself."""
    shape: Shape = Shape.TEXT
    """Of rows for language models: passages, or conversations (`core.data.conversations`)."""
    answers: tuple[str, ...] = ()
    """Every last answer of conversations, where they are a small closed set."""
    depth: Depth | None = None
    """How pictures of more than 8 bits are read; those of a dataset have none, they were converted on import."""

    def of(self, split: str) -> np.ndarray:
        """Indices (not row ids) of the rows of a split."""
        return np.flatnonzero(self.splits == split)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A checkpoint as validation rows found it. merit: of the metric that decides, higher is better; kept: what its
    network said of them, None where an earlier attempt asked it."""

    merit: float
    kept: Outputs | None


class SolvedHead(Protocol):
    """A head that was solved on pooled features instead of trained."""

    def outputs(self, features: np.ndarray) -> Outputs:
        """What the network would say of rows with these features, (n_rows, n_dims)."""

    def tensors(self) -> dict[str, np.ndarray]:
        """The state of the network's head, by name."""


class Objective(Protocol):
    """A task on one dataset: how its rows reach the network, what the network is trained for, and what is made of its
    answers.

    One class a task; `core.tasks.REGISTRY` names them. An instance holds the base model's tokenizer or picture
    processor and what the rows can be called. What is kept of a pass (`Outputs`) is the task's own affair: the engine
    hands it on and looks at nothing in it.
    """

    card: ClassVar[Card]
    script: ClassVar[Path]
    """What predicts with an exported folder, without Thaw."""
    processor: Any

    @classmethod
    def of(cls, model: Path, rows: Rows) -> Self:
        """For training on these rows with the base model in that folder. Raises ModelError for a folder without a
        processor."""

    @classmethod
    def load(cls, artifact: Path, about: Mapping[str, Any]) -> Self:
        """As a run saved it. about: what `save` returned."""

    def save(self, artifact: Path) -> dict[str, Any]:
        """Save the processor; returns what else `load` needs, as JSON."""

    # -- rows and network --

    def choose(self, rows: Rows, indices: np.ndarray, count: int, *, seed: int) -> np.ndarray:
        """So many of these rows, or all where there are no more, that stand for all of them."""

    def cautions(self, rows: Rows, chosen: Mapping[str, np.ndarray]) -> Sequence[Finding]:
        """What these rows leave out. chosen: split -> indices."""

    def encode(self, rows: Rows, *, recipe: Recipe, facts: ModelFacts, cache: Path,
               report: Report = no_report) -> Encoded:
        """Make all rows ready, from the cache where they are there."""

    def examine(self, rows: Rows, encoded: Any, train: np.ndarray, *, recipe: Recipe, facts: ModelFacts,
                folder: Path) -> Sequence[str]:
        """What a person should know of the training rows (indices) as they were encoded; may leave a file in the run
        folder. Raises DataError where there is nothing to learn from them."""

    def build(self, folder: Path, *, recipe: Recipe, facts: ModelFacts, weights: Weights, dropout: float,
              compute_dtype: torch.dtype, device: str, reads_only: bool = False) -> Network:
        """The network of a recipe, before a method makes it trainable. reads_only: for passes without gradients."""

    def solve(self, features: Callable[[np.ndarray], np.ndarray], rows: Rows, *, train: np.ndarray,
              validation: np.ndarray, seed: int) -> SolvedHead:
        """The head solved on pooled features of the base model, where the card says that it can be.

        features: indices -> (n_rows, n_dims). validation: rows to choose its strength by, may be none.
        """

    # -- loss --

    def targets(self, rows: Rows, encoded: Encoded, indices: np.ndarray) -> dict[str, torch.Tensor]:
        """What the network's outputs for a batch of these rows are compared with, on the CPU."""

    def loss(self, outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
        """The scalar that training lowers: a mean over what the batch teaches (rows, or tokens)."""

    def weight(self, targets: dict[str, torch.Tensor]) -> int:
        """How many of these a batch has: what its loss counts for where several batches make one step."""

    # -- judgement --

    def keep(self, outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What to keep of a batch, row by row: name -> (n_rows, …). Reduced on the device where the outputs are
        large."""

    def judge(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> Judged:
        """What the metrics need, row by row."""

    def mean_loss(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> float:
        """What `loss` is over all these rows."""

    def predictions(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> pa.Table:
        """The table that a run writes for a split: `row_id`, and what was right and what was said."""

    def samples(self, kept: Outputs) -> list[dict[str, Any]]:
        """What prediction answers for each row, in words."""

    def as_good(self, now: Scored, best: Scored, rows: Rows, indices: np.ndarray) -> bool:
        """Whether these validation rows cannot tell a checkpoint from the best one: then the later is kept."""

    # -- elsewhere --

    def standalone(self, recipe: Recipe, facts: ModelFacts, depth: Depth | None) -> dict[str, Any]:
        """What `script` must know besides the body. depth: how the pictures of training were read."""
