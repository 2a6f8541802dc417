"""What all classification tasks share: classes, a linear head on the pooled feature, cross-entropy, and the likeliest
class as answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from core.domain.dataset import Role
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.metrics import Judged
from core.tasks.base import Card, Outputs, Rows, Scored
from core.tasks.probe_solver import LinearHead, solve

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

    from core.data.report import Finding
    from core.features.encoded import Encoded
    from core.models.network import Network

COMMON_ROLES = (Role.LABEL, Role.ID, Role.SPLIT, Role.IGNORE)
"""What columns beside the content can be."""


class Classification:
    """One class of several for each row. What is kept of a pass are the logits, (n_rows, n_classes)."""

    card: ClassVar[Card]
    script: ClassVar[Path] = Path(__file__).with_name("standalone.py")

    def __init__(self, processor: Any, classes: Iterable[str]) -> None:
        self.processor = processor
        self.classes = tuple(classes)

    @staticmethod
    def load_processor(folder: Path) -> Any:
        """Tokenizer or picture processor of that folder."""
        raise NotImplementedError

    def save_processor(self, folder: Path) -> None:
        """The inverse of `load_processor`."""
        raise NotImplementedError

    def pooling(self, recipe: Recipe, facts: ModelFacts) -> str:
        """How the recipe pools what this model makes of a row."""
        raise NotImplementedError

    @classmethod
    def of(cls, model: Path, rows: Rows) -> Self:
        return cls(cls.load_processor(model), rows.classes)

    @classmethod
    def load(cls, artifact: Path, about: Mapping[str, Any]) -> Self:
        return cls(cls.load_processor(artifact / "processor"), map(str, about["classes"]))

    def save(self, artifact: Path) -> dict[str, Any]:
        self.save_processor(artifact / "processor")
        return {"classes": list(self.classes)}

    # -- rows and network --

    def choose(self, rows: Rows, indices: np.ndarray, count: int, *, seed: int) -> np.ndarray:
        """Each class in its share."""
        from core.data.splits import label_budget

        return indices[label_budget(rows.labels[indices], count, seed=seed)] if count else indices[:0]

    def cautions(self, rows: Rows, chosen: Mapping[str, np.ndarray]) -> list[Finding]:
        """Classes without a training row, splits without a row."""
        from core.data.checks.splits import cautions

        counts = {split: np.bincount(rows.labels[of], minlength=len(self.classes)) for split, of in chosen.items()}
        return list(cautions({split: dict(zip(self.classes, map(int, n), strict=True)) for split, n in counts.items()}))

    def examine(self, rows: Rows, encoded: Encoded, train: np.ndarray, *, recipe: Recipe, facts: ModelFacts,
                folder: Path) -> list[str]:
        """Nothing: every row teaches its class."""
        return []

    def build(self, folder: Path, *, recipe: Recipe, facts: ModelFacts, weights: Weights, dropout: float,
              compute_dtype: torch.dtype, device: str, reads_only: bool = False) -> Network:
        from torch import nn

        from core.models import blocks, load, sharing
        from core.models.network import Network

        body = load.load_body(folder, weights=weights, dropout=dropout, quantization=recipe.quantization,
                              compute_dtype=compute_dtype, device=device, reads_only=reads_only)
        stack = sharing.of_build(body, blocks.find_stack(body), facts)
        network = Network(body, head=nn.Linear(facts.hidden_size, len(self.classes)), stack=stack,
                          pooling=self.pooling(recipe, facts), channels_last=load.channels_last(body))
        network.head.to(device)
        return network

    def solve(self, features: Callable[[np.ndarray], np.ndarray], rows: Rows, *, train: np.ndarray,
              validation: np.ndarray, seed: int) -> LinearHead:
        """Logistic regression; without validation rows, its strength is chosen by cross-validation."""
        judged = (features(validation), rows.labels[validation]) if len(validation) else None
        return solve(features(train), rows.labels[train], validation=judged, n_classes=len(self.classes), seed=seed)

    # -- loss --

    def targets(self, rows: Rows, encoded: Encoded, indices: np.ndarray) -> dict[str, torch.Tensor]:
        import torch

        return {"labels": torch.from_numpy(rows.labels[indices])}

    def loss(self, outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean cross-entropy over the rows, and in training the share of the contrastive loss that a method wants."""
        from torch.nn.functional import cross_entropy

        loss = cross_entropy(outputs["logits"].float(), targets["labels"])
        if "contrast" not in outputs:
            return loss
        from core.models.contrast import contrastive

        share = outputs["contrast"]
        return (1 - share) * loss + share * contrastive(outputs["features"], targets["labels"])

    def weight(self, targets: dict[str, torch.Tensor]) -> int:
        """Its rows."""
        return len(targets["labels"])

    # -- judgement --

    def keep(self, outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"logits": outputs["logits"]}

    def judge(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> Judged:
        logits = kept["logits"]
        return Judged(labels=rows.labels[indices], predictions=logits.argmax(1),
                      probabilities=softmax(logits).astype(np.float32))

    def mean_loss(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> float:
        return mean_cross_entropy(kept["logits"], rows.labels[indices])

    def predictions(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> pa.Table:
        """row_id, label, prediction, probabilities (list of float32)."""
        import pyarrow as pa

        logits = kept["logits"]
        return pa.table({
            "row_id": pa.array(rows.row_ids[indices], pa.int64()),
            "label": pa.array(rows.labels[indices], pa.int32()),
            "prediction": pa.array(logits.argmax(1), pa.int32()),
            "probabilities": pa.array(list(softmax(logits).astype(np.float32)), pa.list_(pa.float32())),
        })

    def samples(self, kept: Outputs) -> list[dict[str, Any]]:
        """For each row {"label": name, "probabilities": {class: p}}."""
        return [{"label": self.classes[int(row.argmax())],
                 "probabilities": {name: float(p) for name, p in zip(self.classes, row, strict=True)}}
                for row in softmax(kept["logits"])]

    def as_good(self, now: Scored, best: Scored, rows: Rows, indices: np.ndarray) -> bool:
        return within_standard_error(now.merit, best.merit, len(indices))


def within_standard_error(score: float, best: float, n_rows: int) -> bool:
    """The one-standard-error rule: whether a share of `n_rows` rows is less than a standard error below the best share
    of them.

    Breiman et al. (1984), "Classification and Regression Trees"; Hastie et al. (2009), section 7.10. One right and one
    wrong row are added (Laplace), so that a flawless score on few rows is not taken for certain.
    """
    share = (max(best, 0.0) * n_rows + 1) / (n_rows + 2)  # less the tie-breaking loss, a share of 0 lies just below it
    return score > best - math.sqrt(share * (1 - share) / n_rows)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Row-wise, (n_rows, n_classes), float64 inside."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    exponents = np.exp(shifted)
    return np.asarray(exponents / exponents.sum(1, keepdims=True))


def mean_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean -log softmax of the true class."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(1))
    return float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))
