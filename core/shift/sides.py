"""What the report starts from (`AlignedFeatures`), and every number that one block of one model has by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.domain.run import Interval
from core.errors import DataError
from core.metrics.intervals import share
from core.shift import domain_gap, geometry, neighbours, probes
from core.shift.arrays import State, finite, state, table

MIN_ROWS = 10
MIN_OF_A_CLASS = 5
"""Training and validation rows of each class from which class axes are fitted to these alone."""


@dataclass(frozen=True, kw_only=True)
class AlignedFeatures:
    """Features of the same probe rows under two models, a table `(n_rows, n_dims)` a block (fp16 is welcome)."""

    names: tuple[str, ...]
    """Block names of the tuned side, in forward order."""
    base: Sequence[ArrayLike]
    tuned: Sequence[ArrayLike]
    frozen: tuple[bool, ...]
    """Which blocks the tuned run froze."""
    labels: NDArray[np.int64] | None = None
    """Class of each row, −1 where unknown; None without labels."""
    shift: NDArray[np.bool_] | None = None
    """Which rows come from the shift set; None without one."""
    held_out: NDArray[np.bool_] | None = None
    """Rows of test and shift set, whose labels place no axes where others are there; None where none is held out."""

    def __post_init__(self) -> None:
        rows = {len(np.asarray(b)) for b in (*self.base, *self.tuned)}
        for values in (self.labels, self.shift, self.held_out):
            rows |= set() if values is None else {len(values)}
        if len(rows) != 1 or not self.base or not len(self.names) == len(self.frozen) == len(self.tuned):
            raise DataError("These two sets of features cannot be compared.",
                            why="Blocks, labels and marks must be of the same rows; their row counts are "
                                f"{sorted(rows)}, with {len(self.base)} blocks on one side and {len(self.tuned)} on "
                                f"the other, {len(self.names)} of them named.",
                            remedy="Extract both sides for the same probe sample.")
        if self.target.sum() < MIN_ROWS:
            raise DataError("The probe sample is too small.",
                            why=f"It has {int(self.target.sum())} rows of the target domain.",
                            remedy=f"Use at least {MIN_ROWS} rows; 2,000 is the default.")

    @property
    def target(self) -> NDArray[np.bool_]:
        """Rows that are not of the shift set, `(n_rows,)`."""
        return np.ones(len(np.asarray(self.base[0])), bool) if self.shift is None else ~np.asarray(self.shift, bool)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Among the target rows, those with a label; none when fewer than two classes occur."""
        marks = (np.zeros(int(self.target.sum()), bool) if self.labels is None else np.asarray(self.labels)[self.target]
                 >= 0)
        known = np.empty(0, int) if self.labels is None else np.asarray(self.labels)[self.target][marks]
        return marks if len(np.unique(known)) > 1 else np.zeros_like(marks)

    @property
    def supervised(self) -> NDArray[np.bool_]:
        """Rows whose labels class axes are fitted to, `(n_rows,)`: training and validation rows, since test rows choose
        nothing; all that have a label where these are too few to tell (`MIN_OF_A_CLASS` of each of two classes)."""
        known = np.zeros(len(self.target), bool) if self.labels is None else np.asarray(self.labels) >= 0
        if self.labels is None or self.held_out is None:
            return known
        own = known & ~np.asarray(self.held_out, bool)
        counts = np.unique(np.asarray(self.labels)[own], return_counts=True)[1]
        classes = len(np.unique(np.asarray(self.labels)[known]))
        return own if len(counts) == classes > 1 and counts.min() >= MIN_OF_A_CLASS else known

    def partner(self, index: int) -> int:
        """The base block at the same relative depth as tuned block `index` (the same index when depths are equal)."""
        return (index if len(self.base) == len(self.tuned)
                else round(index * (len(self.base) - 1) / max(1, len(self.tuned) - 1)))


@dataclass(frozen=True, kw_only=True)
class SideNumbers:
    """One block of one model: numbers on the target rows, each None where it has no meaning."""

    knn_accuracy: Interval | None = None
    probe_accuracy: Interval | None = None
    probe_shuffled: float | None = None
    """Baseline of the probe: the same on shuffled labels."""
    silhouette: float | None = None
    nc1: float | None = None
    effective_rank: float | None = None
    participation_ratio: float | None = None
    rank_ceiling: int | None = None
    gap: domain_gap.Gap | None = None
    """Target rows against shift rows."""


@dataclass(frozen=True, kw_only=True)
class MeasuredSide:
    """The numbers, and the arrays that comparing two sides needs again."""

    numbers: SideNumbers
    near: NDArray[np.int32] | None
    """Neighbours among the target rows, `(n_target, 20)`; None when features are not finite or collapsed."""
    near_shift: NDArray[np.int32] | None
    """Neighbours among the shift rows."""
    knn: NDArray[np.int64] | None
    """k-NN predictions of the labelled target rows."""


def measure(features: ArrayLike, sides: AlignedFeatures, *, seed: int = 0) -> MeasuredSide:
    """Every number of one block of one model."""
    target, known = sides.target, sides.labelled
    values = np.asarray(features)
    if state(values[target]) is not State.OK or (not target.all() and state(values) is State.NOT_FINITE):
        return MeasuredSide(numbers=SideNumbers(), near=None, near_shift=None, knn=None)
    full = table(values[target])
    near = neighbours.nearest(full)
    other = values[~target]
    near_shift = neighbours.nearest(other) if len(other) > 1 else None
    gap = domain_gap.measure(full, other, seed=seed) if len(other) >= 4 else None
    singular = geometry.spectrum(full)
    shape: dict[str, Any] = {
        "effective_rank": finite(geometry.effective_rank(singular)),
        "participation_ratio": finite(geometry.participation_ratio(singular)),
        "rank_ceiling": geometry.ceiling(*full.shape), "gap": gap}
    if sides.labels is None or not known.any():
        return MeasuredSide(numbers=SideNumbers(**shape), near=near, near_shift=near_shift, knn=None)
    labels = np.asarray(sides.labels)[target][known]
    rows, close = (full, near) if known.all() else (full[known], neighbours.nearest(full[known]))
    knn, probe = neighbours.predictions(close, labels), probes.measure(rows, labels, seed=seed)
    numbers = SideNumbers(
        **shape, knn_accuracy=share(int(np.sum(knn == labels)), len(labels)),
        probe_accuracy=share(int(np.sum(probe.predictions == labels[probe.rows])), len(probe.rows)),
        probe_shuffled=probes.shuffled(rows, labels, seed=seed), silhouette=finite(geometry.silhouette(rows, labels)),
        nc1=finite(geometry.nc1(rows, labels)))
    return MeasuredSide(numbers=numbers, near=near, near_shift=near_shift, knn=knn)
