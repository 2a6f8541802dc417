"""Two sides compared: the report, the rows it is about, the map of any block in any view, and the run over its recorded steps."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import files
from core.analysis import pairs, places
from core.analysis import rows as row_facts
from core.analysis.ask import second_set
from core.analysis.blockfile import BlockFeatures, digest_of
from core.analysis.pairs import Pair
from core.analysis.sample import BESIDE_ROWS, SHIFT_SET, of_training
from core.domain import versions
from core.domain.dataset import Dataset
from core.domain.side import Side, Which
from core.settings import Settings
from core.shift import cka, geometry, over_training, projection, trust
from core.shift.arrays import finite, one_thread
from core.shift.footer import Map
from core.shift.over_training import Checkpoint
from core.shift.projection import View
from core.shift.report import Shift
from core.shift.trust import Check

KEPT_ROWS = 5000
"""Pairs of at most so many rows stay in memory, the newest few."""
_TURN = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Space:
    """What the page shows of two sides. Arrays have one entry a row of the probe sample, in its order."""

    a: Side
    b: Side
    names: tuple[str, str]
    shift: Shift
    pair: Pair = field(repr=False)
    dataset: Dataset
    beside: Dataset | None
    """The second dataset, whose rows come last; None without one."""
    kind: str
    """`text` or `image`."""
    contents: tuple[str, ...] = field(repr=False)
    predictions_a: NDArray[np.int64] | None = field(repr=False)
    """Class number, −1 unknown; None without a head."""
    predictions_b: NDArray[np.int64] | None = field(repr=False)
    settings: Settings = field(repr=False)
    rows: int

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    @property
    def row_ids(self) -> NDArray[np.int64]:
        """Ids of the rows in their own dataset."""
        return self.pair.row_ids

    @functools.cached_property
    def keys(self) -> NDArray[np.str_]:
        """What tells a row from any other of either dataset."""
        ids = self.row_ids.astype(str)
        return ids if self.beside is None else np.where(self.pair.beside, np.char.add(f"{self.beside.id}:", ids), ids)

    @property
    def shift_words(self) -> str:
        """What the rows beside the target rows are called."""
        return "shift rows" if self.beside is None else f"{_short(self.beside.name)} rows"

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Class of each row, −1 where unknown; None without labels."""
        return self.pair.sides.labels

    @property
    def of_training(self) -> str | None:
        """What to say where training rows stand in for test and validation rows."""
        return of_training(self.pair.splits)

    @property
    def linear_only(self) -> bool:
        """Whether the sample is too large for UMAP to be quick."""
        return len(self.row_ids) > KEPT_ROWS + BESIDE_ROWS

    def map(self, block: int, view: View) -> Map | None:
        """The map of a block; None where both sides cannot share one camera."""
        return pairs.drawn(self.pair, block, view=view, settings=self.settings)

    def features(self, block: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """One block of both sides, `(n_rows, n_dims)` each."""
        both = self.pair.sides
        return np.asarray(both.base[both.partner(block)]), np.asarray(both.tuned[block])

    def spectra(self, block: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Singular values of the centred target rows, both sides, largest first."""
        target = self.pair.sides.target
        with one_thread():
            one, two = (geometry.spectrum(np.asarray(side[target], np.float64)) for side in self.features(block))
        return one, two

    def checks(self, block: int) -> tuple[Check, ...]:
        """The null checks, run now on the base side of a block."""
        with one_thread():
            return trust.measure(self.features(block)[0])

    def correct(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Rows fixed and rows broken between the sides; None where a side has no predictions or there are no labels."""
        if self.labels is None or self.predictions_a is None or self.predictions_b is None:
            return None
        known = (self.labels >= 0) & (self.predictions_a >= 0) & (self.predictions_b >= 0)
        right_a, right_b = self.predictions_a == self.labels, self.predictions_b == self.labels
        return known & ~right_a & right_b, known & right_a & ~right_b


def build(a: Side, b: Side, *, names: tuple[str, str], dataset: Dataset, settings: Settings, workspace: str, rows: int,
          beside: str = SHIFT_SET) -> Space:
    """Compare two sides: from the cache when measured before, else now (seconds). Raises NotFoundError where features are missing,
    DataError where the dataset's rows are no longer those of the runs.

    beside: see `compare.pair`. The newest few stay in memory for the next click.
    """
    stamp = (row_facts.table(dataset.id, settings, workspace).dataset_hash,
             *(_stamp(ref, settings, rows, second_set(beside)) for ref in (a, b)))
    make = _build if rows <= KEPT_ROWS else _build.__wrapped__
    return make(a, b, names, dataset.id, settings, workspace, rows, beside, stamp)


@functools.lru_cache(maxsize=4)
def _build(a: Side, b: Side, names: tuple[str, str], ref: str, settings: Settings, workspace: str, rows: int, beside: str,
           stamp: Any) -> Space:
    from core.data import library

    dataset = library.load(ref, settings=settings, workspace=workspace)
    second = library.load(beside, settings=settings, workspace=workspace) if second_set(beside) else None
    table = row_facts.table(dataset.id, settings, workspace)
    pair = _measured(lambda: pairs.pair(a, b, settings=settings, table=table, rows=rows, beside=beside), settings)
    shift = pairs.named(pairs.report(pair, settings=settings), a=names[0], b=names[1], beside=_short(second.name) if second else "")
    own = pair.row_ids[~pair.beside]
    kind, contents = row_facts.contents(dataset, own, settings=settings, workspace=workspace)
    if second is not None:
        contents += row_facts.contents(second, pair.row_ids[pair.beside], settings=settings, workspace=workspace)[1]
    guesses = []
    for side, blocks in ((a, pair.sides.base), (b, pair.sides.tuned)):
        last = BlockFeatures(row_ids=own, blocks={"last": np.asarray(blocks[-1])[~pair.beside]})
        found = row_facts.predictions(side, last, own)
        # The classes of a second dataset are others: what a head would say of its rows is not asked.
        guesses.append(None if found is None else np.append(found, np.full(int(pair.beside.sum()), row_facts.UNKNOWN)))
    return Space(a=a, b=b, names=names, shift=shift, pair=pair, dataset=dataset, beside=second, kind=kind, contents=contents,
                 predictions_a=guesses[0], predictions_b=guesses[1], settings=settings, rows=rows)


def _measured(load: Callable[[], Pair], settings: Settings) -> Pair:
    """A pair whose report is in the cache. A server measures one at a time, which takes all cores and hundreds of MB: in a workshop thirty
    people open the page at once. Who waits for a turn does not hold features meanwhile."""
    pair = load()
    if not pairs.measured(pair, settings=settings):
        del pair
        with _TURN:
            pair = load()
            pairs.report(pair, settings=settings)
    return pair


def _short(name: str, most: int = 32) -> str:
    """A dataset's name for legends and sentences."""
    return name if len(name) <= most else f"{name[:most - 1].rstrip()}…"


def _stamp(ref: Side, settings: Settings, rows: int, second: str = "") -> str:
    wheres = [places.of_run(ref.folder, settings=settings, rows=rows)]
    wheres += [where.beside(second, settings=settings) for where in wheres if second]
    wanted: list[Path | None] = []
    for where in wheres:
        paths = [where.base, where.tuned, where.quantised, *where.steps.values()]
        wanted += {Which.BASE: paths[:1], Which.FINAL: paths[1:2], Which.FOUR_BIT: paths[2:3]}.get(ref.which, paths[:1] + paths[3:])
    return " ".join(digest_of(path) for path in wanted if path is not None and path.is_file())


@dataclass(frozen=True, kw_only=True)
class Story:
    """One block over the recorded steps of a run, all drawn with one camera."""

    steps: tuple[int, ...]
    checkpoints: tuple[Checkpoint, ...]
    row_ids: NDArray[np.int64] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    features: Callable[[], list[NDArray[Any]]] = field(repr=False)
    """Reads the features of every step, `(n_rows, n_dims)` each."""

    @functools.cached_property
    def frames(self) -> tuple[NDArray[np.float64], ...]:
        """Positions a step, `(n_rows, 2)`; found when first asked for."""
        features = self.features()
        with one_thread():
            camera = projection.camera(View.UNION, features)
        return tuple(camera.look(f) for f in features)


def story(folder: Path, block: str, *, dataset: Dataset, settings: Settings, workspace: str, rows: int) -> Story | None:
    """How a block left the base model; None for a run that recorded no steps. Cached for the few newest askers."""
    steps = places.of_run(folder, settings=settings, rows=rows).steps
    stamp = tuple((step, digest_of(path)) for step, path in steps.items())
    return _story(folder, block, dataset.id, settings, workspace, rows, stamp) if steps else None


@functools.lru_cache(maxsize=16)
def _story(folder: Path, block: str, dataset: str, settings: Settings, workspace: str, rows: int, stamp: Any) -> Story:
    steps = tuple(step for step, _ in stamp)

    def read() -> list[BlockFeatures]:
        return [pairs.load(Side.of(folder, Which.STEP, step), settings=settings, rows=rows) for step in steps]

    sides = read()
    table = row_facts.table(dataset, settings, workspace)
    place = {int(row): index for index, row in enumerate(table.row_ids)}
    row_ids = sides[0].row_ids
    labels = table.labels[[place[int(row)] for row in row_ids]]
    features = [side.blocks[block] for side in sides]
    with one_thread():
        checkpoints = over_training.measure(features[0], features, steps=steps, labels=labels if (labels >= 0).any() else None)
    return Story(steps=steps, checkpoints=checkpoints, row_ids=row_ids, labels=labels,
                 features=lambda: [side.blocks[block] for side in read()])


def yardstick(a: Side, b: Side, *, dataset: Dataset, settings: Settings, workspace: str, rows: int) -> tuple[float | None, ...]:
    """CKA a block between two seeds of one arm: how similar is similar. Cached for the few newest askers."""
    stamp = tuple(_stamp(ref, settings, rows) for ref in (a, b))
    return _yardstick(a, b, dataset.id, settings, workspace, rows, stamp)


@functools.lru_cache(maxsize=16)
def _yardstick(a: Side, b: Side, dataset: str, settings: Settings, workspace: str, rows: int, stamp: Any) -> tuple[float | None, ...]:
    both = pairs.pair(a, b, settings=settings, table=row_facts.table(dataset, settings, workspace), rows=rows).sides
    return tuple(finite(cka.linear(np.asarray(x)[both.target], np.asarray(y)[both.target]))
                 for x, y in zip(both.base, both.tuned, strict=True))


def weight_changes(folder: Path) -> dict[str, Any] | None:
    """What training did to the weights, as the features job measured it; None when it has not."""
    data = files.read_json(folder / "features" / "weights.json")
    return versions.forward(data, now=1, what="weight changes") if isinstance(data, dict) else None
