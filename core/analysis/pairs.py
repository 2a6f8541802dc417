"""Two sides of a comparison from files: the same rows in the same order, labels, frozen blocks; and the report, computed once. No torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.analysis import places, stored
from core.analysis.blockfile import BlockFeatures, digest_of
from core.analysis.places import Places
from core.analysis.sample import DEFAULT_ROWS, NOTHING, SHIFT_SET
from core.domain.dataset import Split
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError
from core.settings import Settings

if TYPE_CHECKING:
    from core.shift.footer import Map
    from core.shift.projection import View
    from core.shift.report import Shift
    from core.shift.sides import Sides

VERSION = 2
"""Part of every stored report's key: raise it when a number's definition changes."""
_MAP_NAMES = {"classes": "classes-apart"}
"""Views whose stored maps are called otherwise than the view: those of earlier versions did not say how far they draw noise apart."""
_A, _B = "{A}", "{B}"
"""Stand for the sides' names in a stored report."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """What is known of every row of the dataset."""

    row_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    splits: NDArray[np.str_]
    dataset_hash: str


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two sides of the same rows, ready to be measured."""

    sides: Sides
    row_ids: NDArray[np.int64]
    splits: NDArray[np.str_]
    """Rows of a second dataset: `beside`."""
    beside: NDArray[np.bool_]
    """Which rows are of a second dataset: their ids count there."""
    key: str
    """Equal for equal features, labels and frozen blocks."""


def load(ref: Side, *, settings: Settings, rows: int = DEFAULT_ROWS, beside: str = "") -> BlockFeatures:
    """The features of one side. A recorded step lacks blocks below the first trained one: those are the base model's.

    beside: id of a second dataset, at whose rows instead. Raises NotFoundError when features were not extracted yet, or the cache has
    let them go.
    """
    ref.check_as_trained()
    where = places.of_run(ref.folder, settings=settings, rows=rows)
    where = where.beside(beside, settings=settings) if beside else where
    path = _path(ref, where)
    if path is None or not path.is_file():
        raise NotFoundError("The features of this model are not here.", why="They were not extracted yet, or the cache has let them go.",
                            remedy="Extract them on the Features page.")
    found = BlockFeatures.load(path)
    if ref.which is not Which.STEP or len(found.blocks) == len(where.facts.blocks):
        return found
    below = aligned(BlockFeatures.load(where.quantised or where.base), found.row_ids)
    return replace(found, blocks={block.name: found.blocks.get(block.name, below.blocks[block.name]) for block in where.facts.blocks})


def _path(ref: Side, where: Places) -> Path | None:
    return {Which.BASE: where.base, Which.FOUR_BIT: where.quantised, Which.FINAL: where.tuned}.get(
        ref.which, where.steps.get(-1 if ref.step is None else ref.step))


def aligned(features: BlockFeatures, row_ids: NDArray[np.int64]) -> BlockFeatures:
    """The same features at these rows, in this order. Raises NotFoundError for a row that is not there."""
    if np.array_equal(features.row_ids, row_ids):
        return features
    place = {int(row): index for index, row in enumerate(features.row_ids)}
    try:
        order = np.array([place[int(row)] for row in row_ids], int)
    except KeyError as error:
        raise NotFoundError("These features are not of the same rows.", remedy="Extract both sides for the same probe sample.") from error
    return replace(features, row_ids=row_ids, blocks={name: values[order] for name, values in features.blocks.items()})


def table_of(dataset: str, *, settings: Settings, workspace: str) -> Table:
    """Row ids, labels and splits of a dataset of the workspace. Labels are −1 where there are none. Raises DataError when its rows on
    disk are not those of its hash."""
    from core.data import library

    found = library.load(dataset, settings=settings, workspace=workspace)
    library.verify(found, settings=settings, workspace=workspace, pictures=False)
    rows = library.read_rows(found, settings=settings, workspace=workspace, columns=["row_id", "label", "split"])
    labels = rows["label"].fill_null(-1).to_numpy().astype(np.int64)
    return Table(row_ids=rows["row_id"].to_numpy(), labels=labels, splits=np.array(rows["split"].to_pylist()),
                 dataset_hash=found.content_hash)


def pair(a: Side, b: Side, *, settings: Settings, table: Table, rows: int = DEFAULT_ROWS, beside: str = SHIFT_SET) -> Pair:
    """Both sides at the rows that both have. Raises DataError when these are of different datasets or have too few rows in common.

    beside: what is set against the target rows: `SHIFT_SET`, `NOTHING`, or the id of a second dataset, whose rows come last. They count
    as shift rows without labels, since their classes are others.
    """
    from core.shift.sides import Sides

    before, after = (places.of_run(ref.folder, settings=settings, rows=rows) for ref in (a, b))
    if before.dataset_hash != after.dataset_hash:
        raise DataError("These two runs cannot be compared row by row.", why="They were trained on different datasets.",
                        remedy="Choose two runs of the same dataset.")
    if table.dataset_hash != after.dataset_hash:
        raise _changed("It has another hash than the runs wrote down.")
    first, second = _common(*_loaded(a, b, settings=settings, rows=rows))
    labels, splits = _facts(table, first.row_ids)
    if beside != SHIFT_SET and not (target := splits != Split.SHIFT.value).all():
        labels, splits, (first, second) = labels[target], splits[target], (aligned(f, f.row_ids[target]) for f in (first, second))
    own = len(splits)
    if second_set := beside if beside not in (SHIFT_SET, NOTHING) else "":
        others = _common(*(load(ref, settings=settings, rows=rows, beside=second_set) for ref in (a, b)))
        first, second, added = _joined(first, others[0]), _joined(second, others[1]), len(others[0].row_ids)
        labels, splits = np.append(labels, np.full(added, -1)), np.append(splits, np.full(added, "beside"))
    foreign = np.arange(len(splits)) >= own
    shift = (splits == Split.SHIFT.value) | foreign
    cold = _frozen(a, b, before, after)
    sides = Sides(names=second.names, base=list(first.blocks.values()), tuned=list(second.blocks.values()),
                  frozen=tuple(cold.get(name, False) for name in second.names), labels=labels if (labels >= 0).any() else None,
                  shift=shift if shift.any() else None)
    files = [(a, before), (b, after)]
    files += [(ref, where.beside(second_set, settings=settings)) for ref, where in files if second_set]
    digests = [digest_of(path) if (path := _path(ref, where)) else "" for ref, where in files] + [second_set] * bool(second_set)
    key = hashlib.sha256(json.dumps([VERSION, *digests, sides.frozen, hashlib.sha256(labels.tobytes() + shift.tobytes()).hexdigest(),
                                     own]).encode()).hexdigest()[:24]
    return Pair(sides=sides, row_ids=first.row_ids, splits=splits, beside=foreign, key=key)


def _facts(table: Table, row_ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Labels and splits of these rows. Raises DataError for a row that the dataset does not have."""
    position = {int(row): index for index, row in enumerate(table.row_ids)}
    order = np.array([position.get(int(row), -1) for row in row_ids], int)
    if len(order) and order.min() < 0:
        raise _changed("Rows of the probe sample are no longer in it.")
    return table.labels[order], table.splits[order]


def _changed(why: str) -> DataError:
    return DataError("The dataset of these runs has changed.", why=why, remedy="Train on the dataset as it is now.")


def _common(first: BlockFeatures, second: BlockFeatures) -> tuple[BlockFeatures, BlockFeatures]:
    """Both at the rows that both have, in the second's order."""
    rows = second.row_ids[np.isin(second.row_ids, first.row_ids)]
    return aligned(first, rows), aligned(second, rows)


def _joined(own: BlockFeatures, other: BlockFeatures) -> BlockFeatures:
    """The rows of one model's second dataset after its own."""
    return BlockFeatures(row_ids=np.concatenate([own.row_ids, other.row_ids]),
                         blocks={name: np.concatenate([values, other.blocks[name]]) for name, values in own.blocks.items()})


def _loaded(a: Side, b: Side, *, settings: Settings, rows: int) -> tuple[BlockFeatures, BlockFeatures]:
    """Both sides. A recorded step is compared with the model that the run started from as it was recorded at step 0: the same rows
    in the same batches, so that a block which has not moved gives equal bytes."""
    start = Side.of(b.folder, Which.STEP, 0)
    if b.which is Which.STEP and a.which in (Which.BASE, Which.FOUR_BIT) and _starts_from(a, b, settings=settings, rows=rows):
        a = start
    return load(a, settings=settings, rows=rows), load(b, settings=settings, rows=rows)


def _starts_from(a: Side, b: Side, *, settings: Settings, rows: int) -> bool:
    """Whether step 0 of run b is model a."""
    before, after = (places.of_run(ref.folder, settings=settings, rows=rows) for ref in (a, b))
    wanted = {"pretrained": before.base, "4bit": before.quantised}.get(places.weights_of(after.recipe))
    return wanted is not None and wanted == _path(a, before) and 0 in after.steps and before.base == after.base


def _frozen(a: Side, b: Side, before: Places, after: Places) -> dict[str, bool]:
    """Blocks that must be equal on both sides: those that no training between the two could move."""
    if before.facts.revision != after.facts.revision:
        return {}
    cold = [places.frozen_blocks(where.recipe, where.facts) for ref, where in ((a, before), (b, after))
            if ref.which in (Which.STEP, Which.FINAL)]
    loaded = {_weights(a, before), _weights(b, after)}
    if len(loaded) > 1 or "fresh" in loaded:
        return {}
    return {name: all(c[name] for c in cold) for name in (block.name for block in after.facts.blocks)} if cold else {}


def _weights(ref: Side, where: Places) -> str:
    if ref.which in (Which.BASE, Which.FOUR_BIT):
        return {Which.BASE: "pretrained", Which.FOUR_BIT: "4bit"}[ref.which]
    return places.weights_of(where.recipe)


def report(found: Pair, *, settings: Settings, seed: int = 0) -> Shift:
    """Every number of this pair: read from the cache, or measured (seconds) and kept there. `named` gives its sides their names."""
    from core.shift.report import measure

    return stored.shift(_folder(found, settings, seed), lambda: measure(found.sides, run=_B, base=_A, seed=seed))


def measured(found: Pair, *, settings: Settings, seed: int = 0) -> bool:
    """Whether `report` would find its numbers in the cache."""
    return stored.has_shift(_folder(found, settings, seed))


def drawn(found: Pair, block: int, *, view: View, settings: Settings, seed: int = 0) -> Map | None:
    """The map of one block in one view, from the cache or drawn and kept there; None where both sides cannot share one camera."""
    from core.shift.arrays import one_thread
    from core.shift.report import draw

    def make() -> Map | None:
        with one_thread():
            return draw(found.sides, block, view=view, seed=seed)

    return stored.map_of(_folder(found, settings, seed), f"{_MAP_NAMES.get(view, view.value)}-{block}", make)


def _folder(found: Pair, settings: Settings, seed: int) -> Path:
    return settings.cache / "shift" / f"{found.key}-{seed}"


def named(shift: Shift, *, a: str, b: str, beside: str = "") -> Shift:
    """The report with the names of its sides, and of the second dataset where there is one, in its sentences too."""
    texts = (_about(text, beside).replace(_A, a).replace(_B, b) for text in shift.findings)
    return replace(shift, base=a, run=b, findings=tuple(text[:1].upper() + text[1:] for text in texts))


def _about(text: str, beside: str) -> str:
    """A sentence on shift rows as one on the rows of a second dataset."""
    return text.replace("Shift rows", f"{beside} rows").replace("shift rows", f"{beside} rows") if beside else text
