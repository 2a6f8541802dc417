"""One block over the checkpoints of a run: how it left the base model, and what its geometry did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.shift import cka, displacement, geometry, neighbours
from core.shift.arrays import State, finite, identical, pair, state


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One block at one step of training; None where a number has no meaning."""

    step: int
    cka: float | None
    """To the base model; exactly 1 when identical."""
    knn_overlap: float | None
    displacement: float | None
    nc1: float | None
    effective_rank: float | None
    knn_accuracy: float | None


def measure(base: ArrayLike, checkpoints: Sequence[ArrayLike], *, steps: Sequence[int], labels: ArrayLike | None = None,
            seed: int = 0) -> tuple[Checkpoint, ...]:
    """The base (as step 0 of itself) against each checkpoint of the same rows and block, in order.

    labels: class a row, −1 = unknown; without labels NC1 and k-NN accuracy are None.
    """
    known = None if labels is None else np.asarray(labels)
    near = neighbours.nearest(base) if state(base) is State.OK else None
    return tuple(_one(base, near, features, step, known, seed)
                 for features, step in zip(checkpoints, steps, strict=True))


def _one(base: ArrayLike, near: NDArray[np.int32] | None, features: ArrayLike, step: int,
         labels: NDArray[np.int64] | None, seed: int) -> Checkpoint:
    if near is None or state(features) is not State.OK:
        return Checkpoint(step=step, cka=None, knn_overlap=None, displacement=None, nc1=None, effective_rank=None,
                          knn_accuracy=None)
    x, y = pair(base, features)
    now = near if identical(x, y) else neighbours.nearest(y)
    marks = None if labels is None else labels >= 0
    labelled = labels is not None and marks is not None and len(np.unique(labels[marks])) > 1
    own = now if marks is None or marks.all() or not labelled else neighbours.nearest(y[marks])
    return Checkpoint(
        step=step, cka=finite(cka.linear(x, y)), knn_overlap=float(neighbours.kept(near, now).mean()),
        displacement=finite(displacement.measure(x, y, seed=seed).typical()) if x.shape == y.shape else None,
        nc1=finite(geometry.nc1(y[marks], labels[marks])) if labels is not None and labelled else None,
        effective_rank=finite(geometry.effective_rank(geometry.spectrum(y))),
        knn_accuracy=neighbours.knn_accuracy(own, labels[marks]) if labels is not None and labelled else None)
