"""What a task hands to the network: rows made ready once, read a batch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch


class Encoded(Protocol):
    """Rows made ready for the network, once for all runs that share the encoding."""

    lengths: np.ndarray
    """(n_rows,) int: cost of a row (tokens; 1 for pictures)."""
    ragged: bool
    """Whether rows differ in size (texts do, pictures do not)."""

    def batch(self, indices: np.ndarray, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        """What the network takes for those rows, padded alike, on the CPU. epoch: given when rows train, and may be
        augmented."""

    def beside_prefix(self, indices: np.ndarray, *, prefix_axes: int) -> dict[str, torch.Tensor]:
        """What the network needs besides cached activations, which have `prefix_axes` axes a row (tokens 2, feature
        maps 3)."""
