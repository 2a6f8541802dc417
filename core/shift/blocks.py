"""One block, base against tuned: similarity, neighbours kept, movement, rotation, and both sides' own numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.domain.run import Interval
from core.shift import cka, displacement, neighbours, procrustes, sides
from core.shift.arrays import State, finite, identical, state
from core.shift.permutation import Null
from core.shift.sides import AlignedFeatures, MeasuredSide, SideNumbers


@dataclass(frozen=True, kw_only=True)
class BlockRows:
    """What single rows did in this block, in the order of the probe sample; NaN where nothing was measured."""

    target: NDArray[np.bool_]
    """Which rows are not of the shift set, `(n_rows,)`."""
    kept: NDArray[np.float64]
    """Share of the 10 nearest neighbours kept within the row's own domain, `(n_rows,)`."""
    distance: NDArray[np.float64]
    """‖y − x‖ ÷ typical base distance."""
    near_base: NDArray[np.int64]
    """Row numbers of the nearest rows of the same domain, nearest first, `(n_rows, ≤ 20)`; −1 where there are none."""
    near_tuned: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class BlockShift:
    """One block's numbers on the target rows (`…_shift`: on the shift rows); None where a number has no meaning."""

    index: int
    name: str
    frozen: bool
    state: State
    base_block: int
    """Index of the base block it is compared with."""
    rows: BlockRows = field(repr=False)
    base: SideNumbers
    tuned: SideNumbers
    knn_base: NDArray[np.int64] | None = field(default=None, repr=False)
    """k-NN predictions of the labelled target rows."""
    knn_tuned: NDArray[np.int64] | None = field(default=None, repr=False)
    cka: Interval | None = None
    cka_null: Null | None = None
    """What CKA unrelated features reach."""
    cka_shift: float | None = None
    knn_overlap: float | None = None
    knn_overlap_shift: float | None = None
    knn_overlap_chance: float = 0.0
    knn_overlap_null: Null | None = None
    displacement: float | None = None
    """Median move ÷ median distance of base rows."""
    displacement_shift: float | None = None
    displacement_cosine: float | None = None
    """Median cosine between a row before and after."""
    procrustes: procrustes.Procrustes | None = None

    def to_json(self) -> dict[str, Any]:
        """The block's entry in the `shift` document."""
        turn = self.procrustes
        out: dict[str, Any] = {
            "index": self.index, "name": self.name, "frozen": self.frozen, "state": self.state.value,
            "base_block": self.base_block, "cka": None if self.cka is None else finite(self.cka.value),
            "cka_low": None if self.cka is None else finite(self.cka.low),
            "cka_high": None if self.cka is None else finite(self.cka.high), "cka_shift": self.cka_shift,
            "knn_overlap": self.knn_overlap, "knn_overlap_chance": self.knn_overlap_chance,
            "knn_overlap_shift": self.knn_overlap_shift, "displacement": self.displacement,
            "displacement_shift": self.displacement_shift, "displacement_cosine": self.displacement_cosine,
            "procrustes_residual": turn and finite(turn.residual), "procrustes_angle": turn and finite(turn.angle),
            "procrustes_scale": turn and finite(turn.scale), "procrustes_determined": turn and turn.determined,
        }
        for key, null in (("cka", self.cka_null), ("knn_overlap", self.knn_overlap_null)):
            out |= {f"{key}_unrelated": null and null.limit_any, f"{key}_p": null and null.p_value}
        for name, numbers in (("base", self.base), ("tuned", self.tuned)):
            out |= {f"{key}_{name}": value for key, value in _flat(numbers).items()}
        return out


def _flat(numbers: SideNumbers) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in ("probe_accuracy", "knn_accuracy"):
        interval: Interval | None = getattr(numbers, key)
        out |= {key: interval and interval.value, f"{key}_low": interval and interval.low,
                f"{key}_high": interval and interval.high}
    plain = ("probe_shuffled", "silhouette", "nc1", "effective_rank", "participation_ratio", "rank_ceiling")
    out |= {key: getattr(numbers, key) for key in plain}
    gap = numbers.gap
    return out | {"mmd": gap and finite(gap.mmd), "mmd_p": gap and gap.p_value, "frechet": gap and finite(gap.frechet),
                  "frechet_split_half": gap and finite(gap.frechet_split_half)}


def measure(index: int, both: AlignedFeatures, *, seed: int = 0, band: bool = True) -> BlockShift:
    """Every number of one block. Frozen or not, bit-identical features read exactly 1 and 0, and are measured once."""
    partner = both.partner(index)
    x, y = np.asarray(both.base[partner]), np.asarray(both.tuned[index])
    target, found = both.target, state_of(x, y)
    before = sides.measure(x, both, seed=seed)
    after = before if found is State.IDENTICAL else sides.measure(y, both, seed=seed)
    common: dict[str, Any] = {
        "index": index, "name": both.names[index], "frozen": both.frozen[index], "state": found, "base_block": partner,
        "base": before.numbers, "tuned": after.numbers, "knn_base": before.knn, "knn_tuned": after.knn,
        "knn_overlap_chance": neighbours.chance(int(target.sum()))}
    if before.near is None or after.near is None:
        return BlockShift(**common, rows=_rows(before, after, np.full(len(x), np.nan), np.full(len(x), np.nan), target))
    kept = _kept(before, after, target)
    a, b = x[target].astype(np.float64), y[target].astype(np.float64)
    out: dict[str, Any] = {"knn_overlap": float(kept[target].mean()),
                           "cka": cka.band(a, b, seed=seed, subsets=20 if band else 0)}
    out["cka"] = out["cka"] if np.isfinite(out["cka"].value) else None
    distance = np.full(len(x), np.nan)
    if x.shape == y.shape:
        moved = displacement.measure(a, b, seed=seed)
        out |= {"displacement": finite(moved.typical()), "displacement_cosine": float(np.median(moved.cosine)),
                "procrustes": procrustes.measure(a, b, seed=seed)}
        distance[target] = moved.distance / moved.scale
    if before.near_shift is not None:
        out |= _on_shift_rows(x[~target], y[~target], kept[~target])
        if x.shape == y.shape:
            distance[~target] = np.linalg.norm(y[~target].astype(np.float64) - x[~target], axis=1) / moved.scale
            out["displacement_shift"] = finite(float(np.median(distance[~target])))
    return BlockShift(**common, **out, rows=_rows(before, after, kept, distance, target))


def state_of(x: NDArray[Any], y: NDArray[Any]) -> State:
    """The state of a pair of features: the worst of both sides, or identical."""
    found = [state(x), state(y)]
    for bad in (State.NOT_FINITE, State.COLLAPSED):
        if bad in found:
            return bad
    return State.IDENTICAL if identical(x, y) else State.OK


def _kept(before: MeasuredSide, after: MeasuredSide, target: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Neighbours kept a row, target and shift rows each among their own."""
    out = np.full(len(target), np.nan)
    for rows, near, other in ((target, before.near, after.near), (~target, before.near_shift, after.near_shift)):
        if near is not None and other is not None:
            out[rows] = neighbours.kept(near, other)
    return out


def _on_shift_rows(x: ArrayLike, y: ArrayLike, kept: NDArray[np.float64]) -> dict[str, float | None]:
    similar = cka.linear(x, y) if len(kept) >= 4 else float("nan")
    return {"cka_shift": finite(similar), "knn_overlap_shift": finite(float(kept.mean()))}


def _rows(before: MeasuredSide, after: MeasuredSide, kept: NDArray[np.float64], distance: NDArray[np.float64],
          target: NDArray[np.bool_]) -> BlockRows:
    def whole(side: MeasuredSide) -> NDArray[np.int64]:
        """Neighbours numbered over the whole sample."""
        widths = [near.shape[1] for near in (side.near, side.near_shift) if near is not None]
        out = np.full((len(target), max(widths, default=0)), -1, np.int64)
        for rows, near in ((np.flatnonzero(target), side.near), (np.flatnonzero(~target), side.near_shift)):
            if near is not None:
                out[rows[:, None], np.arange(near.shape[1])] = rows[near]
        return out

    return BlockRows(target=target, kept=kept, distance=distance, near_base=whole(before), near_tuned=whole(after))
