"""Break it: one block's numbers before and after a deliberate change, to see which of them is fooled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.analysis.feature_comparison import FeatureComparison
from core.shift import blocks, sides
from core.shift.blocks import BlockShift
from core.shift.breakit import BREAKS, Break
from core.shift.footer import Map, draw
from core.shift.sides import AlignedFeatures
from core.threads import one_thread

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


def measure(compared: FeatureComparison, block: int, name: str, *, seed: int = 0) -> Broken | None:
    """Break side B of a block. None where the two sides differ in width or rows are too few.

    A shuffled row keeps its own label, as in the definition: k-NN accuracy cannot see the shuffle.
    """
    x, y = compared.features(block)
    if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    target = np.flatnonzero(compared.aligned.features.target)
    keep = target[np.linspace(0, len(target) - 1, min(len(target), MOST_ROWS)).astype(int)]
    labels = None if compared.labels is None else compared.labels[keep]
    before = AlignedFeatures(names=(compared.shift.blocks[block].name,), base=[np.asarray(x[keep], np.float64)],
                             tuned=[np.asarray(y[keep], np.float64)], frozen=(False,), labels=labels)
    with one_thread():
        return _measure(before, next(b for b in BREAKS if b.name == name), seed)


def _measure(both: AlignedFeatures, what: Break, seed: int) -> Broken:
    """both: one block."""
    changed = what.apply(np.asarray(both.base[0]), np.asarray(both.tuned[0]), seed)
    broken = replace(both, base=[changed.base], tuned=[changed.tuned])
    before, after = blocks.measure(0, both, band=False), blocks.measure(0, broken, band=False)
    if both.labels is not None and (changed.order != np.arange(len(changed.order))).any():
        own_labels = replace(broken, labels=both.labels[changed.order])
        after = replace(after, tuned=sides.measure(changed.tuned, own_labels, seed=seed).numbers)
    drawn = draw(changed.base, changed.tuned) if np.isfinite(changed.tuned).all() else None
    return Broken(what=what, before=before, after=after, map=drawn, rows=len(changed.order))
