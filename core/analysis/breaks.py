"""Break it: one block's numbers before and after a deliberate change, to see which of them is fooled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.analysis.space import Space
from core.shift import blocks, sides
from core.shift.arrays import one_thread
from core.shift.blocks import BlockShift
from core.shift.breakit import BREAKS, Break
from core.shift.footer import Map, draw
from core.shift.sides import Sides

MOST_ROWS = 1000
"""Rows that are measured again: the switch should answer in about a second."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One block of both sides, as it is and broken, on the same rows."""

    what: Break
    before: BlockShift
    after: BlockShift
    map: Map | None
    rows: int


def measure(space: Space, block: int, name: str, *, seed: int = 0) -> Broken | None:
    """Break side B of a block. None where the two sides differ in width or rows are too few.

    A shuffled row keeps its own label, as in the definition: k-NN accuracy cannot see the shuffle.
    """
    what = next(b for b in BREAKS if b.name == name)
    x, y = space.features(block)
    if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    keep = np.flatnonzero(space.pair.sides.target)
    keep = keep[np.linspace(0, len(keep) - 1, min(len(keep), MOST_ROWS)).astype(int)]
    labels = None if space.labels is None else space.labels[keep]
    x, y = np.asarray(x[keep], np.float64), np.asarray(y[keep], np.float64)
    with one_thread():
        return _measure(space, block, what, x, y, labels, seed)


def _measure(space: Space, block: int, what: Break, x: np.ndarray, y: np.ndarray, labels: np.ndarray | None, seed: int) -> Broken:
    changed = what.apply(x, y, seed)
    before = _one(space, block, x, y, labels)
    after = _one(space, block, changed.base, changed.tuned, labels)
    if labels is not None and (changed.order != np.arange(len(x))).any():
        own = _sides(space, block, changed.base, changed.tuned, labels[changed.order])
        after = replace(after, tuned=sides.measure(changed.tuned, own, seed=seed).numbers)
    drawn = draw(changed.base, changed.tuned) if np.isfinite(changed.tuned).all() else None
    return Broken(what=what, before=before, after=after, map=drawn, rows=len(x))


def _one(space: Space, block: int, x: np.ndarray, y: np.ndarray, labels: np.ndarray | None) -> BlockShift:
    return blocks.measure(0, _sides(space, block, x, y, labels), band=False)


def _sides(space: Space, block: int, x: np.ndarray, y: np.ndarray, labels: np.ndarray | None) -> Sides:
    return Sides(names=(space.shift.blocks[block].name,), base=[x], tuned=[y], frozen=(False,), labels=labels)
