"""Two sides at the same rows, from files: features, labels, splits, and which blocks no training could move."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.analysis import feature_paths
from core.analysis.feature_files import BlockFeatures, digest_of
from core.analysis.feature_paths import FeaturePaths
from core.analysis.row_facts import RowTable
from core.analysis.sample import DEFAULT_ROWS, NOTHING, SHIFT_SET
from core.domain.dataset import Split
from core.domain.model import Weights
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError
from core.settings import Settings
from core.shift.sides import AlignedFeatures

VERSION = 2
"""Part of every stored report's key: raise it when a number's definition changes."""
SECOND_SPLIT = "beside"
"""Stands for the split of rows of a second dataset."""
HELD_OUT = (Split.TEST.value, Split.SHIFT.value)
UNTRAINED = (Which.BASE, Which.FOUR_BIT)


@dataclass(frozen=True, kw_only=True)
class AlignedSides:
    """Two sides at the same rows, ready to be measured. Arrays have one entry a row."""

    features: AlignedFeatures
    row_ids: NDArray[np.int64]
    """In the row's own dataset."""
    splits: NDArray[np.str_]
    """`SECOND_SPLIT` for rows of a second dataset."""
    of_second: NDArray[np.bool_]
    """Which rows are of a second dataset."""
    key: str
    """Equal for equal features, labels and frozen blocks."""
    base: Path
    """Where the features of the base model that b started from lie: every map is turned to these."""


def second_id(second: str) -> str:
    """The id of the second dataset in an argument `second`; empty where there is none."""
    return "" if second in (SHIFT_SET, NOTHING) else second


def load(side: Side, *, settings: Settings, rows: int = DEFAULT_ROWS, second: str = "") -> BlockFeatures:
    """The features of one side. A recorded step lacks blocks below the first trained one: those are the base model's.

    second: id of a second dataset, at whose rows instead. Raises NotFoundError when features were not extracted yet, or
    the cache has let them go; RecipeError for a change that is not as it was trained.
    """
    side.check_as_trained()
    paths = feature_paths.of_run(side.folder, settings=settings, rows=rows, second=second)
    path = paths.of(side)
    if path is None or not path.is_file():
        raise NotFoundError("The features of this model are not here.",
                            why="They were not extracted yet, or the cache has let them go.",
                            remedy="Extract them on the Features page.")
    found = BlockFeatures.load(path)
    if side.which is not Which.STEP or len(found.blocks) == len(paths.facts.blocks):
        return found
    start = BlockFeatures.load(paths.start).at(found.row_ids)
    return replace(found, blocks=start.blocks | found.blocks)


def stamp(side: Side, *, settings: Settings, rows: int, second: str = "") -> tuple[str, ...]:
    """What tells the files that `load` reads for this side from any other files there may be in their places."""
    own = feature_paths.of_run(side.folder, settings=settings, rows=rows)
    every = [own, own.at_rows_of(second, settings=settings)] if second else [own]
    files = [path for paths in every for path in paths.read_for(side)]
    return tuple(digest_of(path) for path in files if path.is_file())


def align(a: Side, b: Side, *, settings: Settings, table: RowTable, rows: int = DEFAULT_ROWS,
          second: str = SHIFT_SET, replayed: bool = False) -> AlignedSides:
    """Both sides at the rows that both have. Raises DataError when they are of different datasets or share too few
    rows.

    replayed: only at the rows that b's run recorded while training, so that every step, its start and its end are of
    the same rows.

    table: of the dataset that both were trained on. second: which rows of another domain stand beside the target rows:
    the dataset's own (`SHIFT_SET`), none (`NOTHING`), or those of a second dataset, by its id. These come last, and
    count as shift rows without labels, since their classes are others.
    """
    # 1. Both must be of one dataset, and that must be as it was.
    paths_a = feature_paths.of_run(a.folder, settings=settings, rows=rows)
    paths_b = feature_paths.of_run(b.folder, settings=settings, rows=rows)
    _check_dataset(paths_a, paths_b, table)

    # 2. Features at the rows that both have.
    start = Side.of(b.folder, Which.STEP, 0) if _starts_from(a, b, paths_a, paths_b) else a
    features_a, features_b = _common(load(start, settings=settings, rows=rows), load(b, settings=settings, rows=rows))
    if replayed and paths_b.steps:
        recorded = BlockFeatures.load(next(iter(paths_b.steps.values()))).row_ids
        features_a, features_b = (side.at(recorded) for side in (features_a, features_b))
    labels, splits = table.at(features_b.row_ids)

    # 3. The dataset's own shift rows only where they are wanted.
    target = splits != Split.SHIFT.value
    if second != SHIFT_SET and not target.all():
        labels, splits = labels[target], splits[target]
        kept = features_b.row_ids[target]
        features_a, features_b = features_a.at(kept), features_b.at(kept)
    own = len(splits)

    # 4. The rows of a second dataset after them.
    other = second_id(second)
    if other:
        far_a, far_b = _common(load(a, settings=settings, rows=rows, second=other),
                               load(b, settings=settings, rows=rows, second=other))
        features_a, features_b = features_a.followed_by(far_a), features_b.followed_by(far_b)
        labels = np.append(labels, np.full(len(far_b.row_ids), -1))
        splits = np.append(splits, np.full(len(far_b.row_ids), SECOND_SPLIT))
    far = np.arange(len(splits)) >= own
    shift = far | (splits == Split.SHIFT.value)

    # 5. Blocks that must be equal, and the key under which the report is kept.
    cold = _frozen(a, b, paths_a, paths_b)
    frozen = tuple(cold.get(name, False) for name in features_b.names)
    files = [paths_a.of(a), paths_b.of(b)]
    if other:
        files += [paths.at_rows_of(other, settings=settings).of(side) for side, paths in ((a, paths_a), (b, paths_b))]
    digests = ["" if path is None else digest_of(path) for path in files] + ([other] if other else [])
    marks = hashlib.sha256(labels.tobytes() + shift.tobytes()).hexdigest()
    key = hashlib.sha256(json.dumps([VERSION, *digests, frozen, marks, own]).encode()).hexdigest()[:24]

    features = AlignedFeatures(names=features_b.names, base=list(features_a.blocks.values()),
                               tuned=list(features_b.blocks.values()), frozen=frozen,
                               labels=labels if (labels >= 0).any() else None, shift=shift if shift.any() else None,
                               held_out=np.isin(splits, HELD_OUT))
    return AlignedSides(features=features, row_ids=features_b.row_ids, splits=splits, of_second=far, key=key,
                        base=paths_b.base)


def _check_dataset(a: FeaturePaths, b: FeaturePaths, table: RowTable) -> None:
    if a.dataset_hash != b.dataset_hash:
        raise DataError("These two runs cannot be compared row by row.", why="They were trained on different datasets.",
                        remedy="Choose two runs of the same dataset.")
    if table.dataset_hash != b.dataset_hash:
        raise DataError("The dataset of these runs has changed.", why="It has another hash than the runs wrote down.",
                        remedy="Train on the dataset as it is now.")


def _common(a: BlockFeatures, b: BlockFeatures) -> tuple[BlockFeatures, BlockFeatures]:
    """Both at the rows that both have, in the order of b."""
    rows = b.row_ids[np.isin(b.row_ids, a.row_ids)]
    return a.at(rows), b.at(rows)


def _starts_from(a: Side, b: Side, paths_a: FeaturePaths, paths_b: FeaturePaths) -> bool:
    """Whether b is a recorded step of a training that began with a, and step 0 was recorded too. That is then compared
    instead of a: the same rows in the same batches, so that a block which has not moved gives equal bytes."""
    if a.which not in UNTRAINED or b.which is not Which.STEP or 0 not in paths_b.steps:
        return False
    return feature_paths.weights_of(paths_b.recipe) is not Weights.FRESH and paths_a.of(a) == paths_b.start


def _frozen(a: Side, b: Side, paths_a: FeaturePaths, paths_b: FeaturePaths) -> dict[str, bool]:
    """Block -> whether no training between the two could move it, so that both must be equal. Empty where both are
    untrained, or began with other weights."""
    both = (a, paths_a), (b, paths_b)
    began = {_weights(side, paths) for side, paths in both}
    if paths_a.facts.revision != paths_b.facts.revision or len(began) > 1 or Weights.FRESH in began:
        return {}
    cold = [feature_paths.frozen_blocks(paths.recipe, paths.facts) for side, paths in both
            if side.which not in UNTRAINED]
    names = [block.name for block in paths_b.facts.blocks] if cold else []
    return {name: all(frozen[name] for frozen in cold) for name in names}


def _weights(side: Side, paths: FeaturePaths) -> Weights:
    """How the model's body was loaded before any training of it."""
    untrained = {Which.BASE: Weights.PRETRAINED, Which.FOUR_BIT: Weights.FOUR_BIT}
    return untrained.get(side.which) or feature_paths.weights_of(paths.recipe)
