"""How similar two seeds of one arm are, block by block: the yardstick for how similar is similar."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from core.analysis import aligned, row_facts
from core.analysis.availability import Availability
from core.domain.dataset import Dataset
from core.domain.recipe import Recipe
from core.domain.run import Run
from core.domain.side import Side
from core.settings import Settings
from core.shift import cka
from core.shift.arrays import finite


def other_seed(run: Run, known: Iterable[tuple[Run, Availability]]) -> Run | None:
    """Another seed of the same arm whose features are there."""
    if run.recipe is None:
        return None
    for other, found in known:
        if found.ready and other.recipe is not None and same_arm(run.recipe, other.recipe):
            return other
    return None


def same_arm(one: Recipe, two: Recipe) -> bool:
    """Whether two recipes are two seeds of one arm."""
    return one.seed != two.seed and one.replace(seed=0) == two.replace(seed=0)


def by_block(a: Side, b: Side, *, dataset: Dataset, settings: Settings, workspace: str,
             rows: int) -> tuple[float | None, ...]:
    """CKA of the two, a value a block. The newest few stay in memory."""
    stamps = tuple(aligned.stamp(side, settings=settings, rows=rows) for side in (a, b))
    return _by_block(a, b, dataset.id, settings, workspace, rows, stamps)


@functools.lru_cache(maxsize=16)
def _by_block(a: Side, b: Side, dataset: str, settings: Settings, workspace: str, rows: int,
              stamps: Any) -> tuple[float | None, ...]:
    table = row_facts.table(dataset, settings=settings, workspace=workspace)
    both = aligned.align(a, b, settings=settings, table=table, rows=rows).features
    target = both.target
    return tuple(finite(cka.linear(np.asarray(x)[target], np.asarray(y)[target]))
                 for x, y in zip(both.base, both.tuned, strict=True))
