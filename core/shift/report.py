"""The report of one comparison: all blocks, block × block map, drawn map with footer, findings, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.shift import blocks, cka, footer, neighbours, permutation
from core.shift import findings as words
from core.shift.arrays import State, finite, subset
from core.shift.blocks import BlockShift
from core.shift.findings import Caution
from core.shift.footer import Map
from core.shift.projection import Camera, View
from core.shift.sides import AlignedFeatures
from core.threads import one_thread

_PARALLEL_BYTES = 100 * 2**20
"""Above this size of a float64 block, blocks are measured one after the other to bound memory."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How the features of one probe sample differ between two models; `to_json` is the `shift` document."""

    run: str
    base: str
    """Names of the two sides."""
    rows: int
    """Rows of the probe sample, shift rows included."""
    shift_rows: int
    classes: int | None
    """Classes among the target rows; None without labels."""
    majority: float | None
    """Baseline of every accuracy: the most frequent class everywhere."""
    seed: int
    blocks: tuple[BlockShift, ...]
    block_map: NDArray[np.float64] = field(repr=False)
    """CKA of every base block (lines) with every tuned block (columns)."""
    map: Map | None = field(repr=False)
    """None when the two sides have different widths or cannot be drawn."""
    map_block: int
    findings: tuple[str, ...] = ()
    """Sentences for the top of the page, most important first."""
    warnings: tuple[Caution, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether every block is equal bit for bit."""
        return all(b.state is State.IDENTICAL for b in self.blocks)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, no NaN; the same seed gives the same document."""
        drawn = self.map
        keys = ("variance_shown", "variance_shown_base", "variance_shown_tuned", "movement_captured", "trustworthiness",
                "continuity", "drawn_step", "null_step", "separation", "separation_shuffled")
        return {
            "run": self.run, "base": self.base, "rows": self.rows, "shift_rows": self.shift_rows,
            "classes": self.classes, "majority": self.majority, "seed": self.seed, "identical": self.identical,
            "blocks": [b.to_json() for b in self.blocks],
            "block_map": [[finite(v) for v in line] for line in self.block_map],
            "map": {"block": self.map_block, "view": None if drawn is None else drawn.view.value,
                    **{key: None if drawn is None else getattr(drawn, key) for key in keys}},
            "findings": list(self.findings),
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
        }


def measure(both: AlignedFeatures, *, run: str = "tuned", base: str = "base", map_block: int | None = None,
            view: View = View.UNION, seed: int = 0, workers: int = 2) -> Shift:
    """Every number of FEATURES for one comparison.

    map_block: block to draw (the last by default). workers: blocks measured at once, each on one processor; large
    tables are measured one at a time, so that 20,000 rows × 768 stay under 1 GB. Raises DataError through
    `AlignedFeatures` for unusable input.
    """
    one = np.prod(np.shape(both.tuned[0])) * 8 > _PARALLEL_BYTES
    with one_thread(), ThreadPoolExecutor(1 if one else workers) as pool:
        square = pool.submit(_block_map, both)
        measured = tuple(pool.map(lambda index: blocks.measure(index, both, seed=seed), range(len(both.tuned))))
        nulls = pool.submit(_with_nulls, measured, both, seed)
        index = len(measured) - 1 if map_block is None else map_block
        drawn = pool.submit(draw, both, index, view=view, seed=seed)
        labels = None if both.labels is None else np.asarray(both.labels)[both.target][both.labelled]
        counts = None if labels is None or not len(labels) else np.unique(labels, return_counts=True)[1]
        out = Shift(run=run, base=base, rows=len(both.target), shift_rows=int(np.sum(~both.target)),
                    classes=None if counts is None else len(counts),
                    majority=None if counts is None else float(counts.max() / counts.sum()),
                    seed=seed, blocks=nulls.result(), block_map=square.result(), map=drawn.result(), map_block=index)
    return replace(out, findings=sentences(out, both, base=base, run=run), warnings=words.warnings(out.blocks, both))


def _with_nulls(measured: Sequence[BlockShift], both: AlignedFeatures, seed: int) -> tuple[BlockShift, ...]:
    """The blocks with what unrelated features would reach, on the target rows."""
    rows = np.flatnonzero(both.target)
    place = np.full(len(both.target), -1)
    place[rows] = np.arange(len(rows))

    def near(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return place[numbers[rows, :neighbours.KEPT_K]]

    similar = [b for b in measured if b.cka is not None]
    kept = [b for b in measured if b.knn_overlap is not None]
    few = rows[subset(len(rows), permutation.MAX_ROWS, seed)]
    cka_nulls = permutation.of_cka([np.asarray(both.base[b.base_block])[few] for b in similar],
                                   [np.asarray(both.tuned[b.index])[few] for b in similar], seed=seed)
    near_nulls = permutation.of_neighbours([near(b.rows.near_base) for b in kept],
                                           [near(b.rows.near_tuned) for b in kept], seed=seed)
    by_cka = {b.index: null for b, null in zip(similar, cka_nulls, strict=True)}
    by_near = {b.index: null for b, null in zip(kept, near_nulls, strict=True)}
    return tuple(replace(b, cka_null=by_cka.get(b.index), knn_overlap_null=by_near.get(b.index)) for b in measured)


def sentences(found: Shift, both: AlignedFeatures, *, base: str, run: str, at: int | None = None) -> tuple[str, ...]:
    """What the numbers of a report say of its sides under these names, and of block `at` (the last by default)."""
    labels = None if both.labels is None else np.asarray(both.labels)[both.target][both.labelled]
    return words.sentences(found.blocks, labels, base=base, run=run, rows=int(both.target.sum()), at=at)


def draw(both: AlignedFeatures, index: int, *, view: View = View.UNION, seed: int = 0,
         reference: Camera | None = None) -> Map | None:
    """The map of one block; None where both sides cannot share one camera (different widths, not finite, collapsed).
    reference: see `footer.draw`; one of another width is left out."""
    x, y = np.asarray(both.base[both.partner(index)]), np.asarray(both.tuned[index])
    if x.shape != y.shape or blocks.state_of(x, y) in (State.NOT_FINITE, State.COLLAPSED):
        return None
    known = None if both.labels is None else both.supervised
    fitting = reference if reference is not None and len(reference.centre) == x.shape[1] else None
    return footer.draw(x, y, view=view, labels=both.labels, fit_rows=known, seed=seed, reference=fitting)


def _block_map(both: AlignedFeatures) -> NDArray[np.float64]:
    """CKA of all pairs of blocks on at most 2,000 target rows; NaN where features are not finite."""
    rows = np.flatnonzero(both.target)
    rows = rows if len(rows) <= footer.MAX_ROWS else rows[np.linspace(0, len(rows) - 1, footer.MAX_ROWS).astype(int)]

    def part(features: ArrayLike) -> NDArray[Any]:
        chosen = np.asarray(features)[rows]
        return chosen if np.isfinite(chosen).all() else np.zeros_like(chosen)

    return cka.block_map([part(b) for b in both.base], [part(b) for b in both.tuned])
