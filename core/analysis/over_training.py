"""How one block changed over the recorded steps of a run: its numbers, and its rows, all drawn with one camera."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis import aligned, feature_paths, row_facts
from core.analysis.feature_files import BlockFeatures, digest_of
from core.domain.dataset import Dataset
from core.domain.side import Side, Which
from core.settings import Settings
from core.shift import over_training, projection
from core.shift.over_training import Checkpoint
from core.shift.projection import View
from core.threads import one_thread


@dataclass(frozen=True, kw_only=True)
class BlockOverTraining:
    """One block over the recorded steps of a run."""

    steps: tuple[int, ...]
    checkpoints: tuple[Checkpoint, ...]
    """Numbers a step, against the first."""
    row_ids: NDArray[np.int64] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    """−1 where unknown."""
    features: Callable[[], list[NDArray[Any]]] = field(repr=False)
    """Reads the features of every step, `(n_rows, n_dims)` each."""

    @functools.cached_property
    def frames(self) -> tuple[NDArray[np.float64], ...]:
        """Positions a step, `(n_rows, 2)`; found when first asked for."""
        features = self.features()
        with one_thread():
            camera = projection.camera(View.UNION, features)
        return tuple(camera.look(f) for f in features)


def of_block(folder: Path, block: str, *, dataset: Dataset, settings: Settings, workspace: str,
             rows: int) -> BlockOverTraining | None:
    """How a block left the base model; None for a run that recorded no steps. The newest few stay in memory."""
    steps = feature_paths.of_run(folder, settings=settings, rows=rows).steps
    stamps = tuple((step, digest_of(path)) for step, path in steps.items())
    return _of_block(folder, block, dataset.id, settings, workspace, rows, stamps) if steps else None


@functools.lru_cache(maxsize=16)
def _of_block(folder: Path, block: str, dataset: str, settings: Settings, workspace: str, rows: int,
              stamps: tuple[tuple[int, str], ...]) -> BlockOverTraining:
    steps = tuple(step for step, _ in stamps)

    def read() -> list[BlockFeatures]:
        return [aligned.load(Side.of(folder, Which.STEP, step), settings=settings, rows=rows) for step in steps]

    every = read()
    row_ids = every[0].row_ids
    labels, _ = row_facts.table(dataset, settings=settings, workspace=workspace).at(row_ids)
    features = [found.blocks[block] for found in every]
    with one_thread():
        known = labels if (labels >= 0).any() else None
        checkpoints = over_training.measure(features[0], features, steps=steps, labels=known)
    return BlockOverTraining(steps=steps, checkpoints=checkpoints, row_ids=row_ids, labels=labels,
                             features=lambda: [found.blocks[block] for found in read()])
