"""The supervised contrastive loss: rows of one class lie together, those of different classes apart.

Khosla et al. 2020, arXiv 2004.11362; in fine-tuning Gunel et al. 2021, arXiv 2011.01403.
"""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

TEMPERATURE = 0.3
"""Of the second paper, which found it best on most of its tasks."""


def contrastive(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over the rows of a batch that have a row of the same class beside them, in nats; 0 where none has.

    features: `(n_rows, width)`, of any length; labels: `(n_rows,)`. For row i it is the mean over the others p of its
    class of −log(exp(z_i · z_p / t) / Σ exp(z_i · z_k / t)), k all rows but i, z the directions of the features.
    """
    directions = normalize(features.float(), dim=1)
    own = torch.eye(len(labels), dtype=torch.bool, device=features.device)
    likeness = (directions @ directions.T / TEMPERATURE).masked_fill(own, float("-inf"))
    said = torch.log_softmax(likeness, dim=1).masked_fill(own, 0.0)  # else −inf, and 0 · −inf is no number
    together = (labels[:, None] == labels[None, :]) & ~own
    others = together.sum(1)
    losses = -(said * together).sum(1) / others.clamp(min=1)
    return losses[others > 0].mean() if bool((others > 0).any()) else 0.0 * features.sum()
