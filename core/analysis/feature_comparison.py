"""What the Features page opens with: two sides compared, the rows this is about, the map of any block in any view."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis import aligned, feature_paths, row_facts, shift_report
from core.analysis.aligned import AlignedSides
from core.analysis.sample import SECOND_ROWS, SHIFT_SET, of_training
from core.domain.dataset import Dataset
from core.domain.side import Side
from core.settings import Settings
from core.shift import geometry, trust
from core.shift.arrays import State
from core.shift.footer import Map
from core.shift.projection import View
from core.shift.report import Shift
from core.shift.trust import Check
from core.threads import one_thread

KEPT_ROWS = 5000
"""Comparisons of at most so many rows stay in memory, the newest few."""
NAME_CHARACTERS = 32
"""Of a second dataset's name, in legends and sentences."""
_TURN = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class FeatureComparison:
    """Two sides compared. Arrays have one entry a row of the probe sample, in its order."""

    names: tuple[str, str]
    """Of the two sides, A and B."""
    shift: Shift
    aligned: AlignedSides = field(repr=False)
    dataset: Dataset
    second: Dataset | None
    """The second dataset, whose rows come last; None without one."""
    contents: tuple[str, ...] = field(repr=False)
    """Texts cut for display, or paths of picture files."""
    pictures: bool
    """Whether `contents` are pictures."""
    predictions_a: NDArray[np.int64] | None = field(repr=False)
    """Class number, −1 unknown; None without a head."""
    predictions_b: NDArray[np.int64] | None = field(repr=False)
    settings: Settings = field(repr=False)
    rows: int
    """Size of the probe sample that was asked for."""
    pooling: str = "auto"
    """How the tokens of a row became one vector, as the recipe of B says."""
    groups: NDArray[np.int64] | None = field(default=None, repr=False)
    """Equal for rows of one document or group, −1 for rows of a second dataset; None where rows have none."""
    loss_change: NDArray[np.float64] | None = field(default=None, repr=False)
    """Loss in B less that in A, nats a taught token, NaN where a side did not judge the row; None without losses."""

    @property
    def key(self) -> str:
        """Equal for equal numbers and maps."""
        return self.aligned.key

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    @property
    def identical(self) -> bool:
        """Whether no feature of any block differs between the sides."""
        return all(block.state is State.IDENTICAL for block in self.shift.blocks)

    @property
    def row_ids(self) -> NDArray[np.int64]:
        """Ids of the rows in their own dataset."""
        return self.aligned.row_ids

    @functools.cached_property
    def row_keys(self) -> NDArray[np.str_]:
        """What tells a row from any other of either dataset."""
        ids = self.row_ids.astype(str)
        if self.second is None:
            return ids
        return np.where(self.aligned.of_second, np.char.add(f"{self.second.id}:", ids), ids)

    @property
    def shift_words(self) -> str:
        """What the rows of another domain are called."""
        own = f"shift rows ({self.dataset.shift_called})" if self.dataset.shift_called else "shift rows"
        return own if self.second is None else f"{_short(self.second.name)} rows"

    def matching(self, word: str) -> list[int]:
        """Places of the rows whose text (as shown), file name or class holds a word, whatever its case; none for an
        empty one."""
        wanted = " ".join(word.casefold().split())
        if not wanted:
            return []
        shown = [Path(content).name for content in self.contents] if self.pictures else self.contents
        named = {number for number, name in enumerate(self.classes) if wanted in name.casefold()}
        labels = np.full(len(shown), row_facts.UNKNOWN) if self.labels is None else self.labels
        return [place for place, text in enumerate(shown)
                if int(labels[place]) in named or wanted in " ".join(text.casefold().split())]

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Class of each row, −1 where unknown; None without labels."""
        return self.aligned.features.labels

    @property
    def of_training(self) -> str | None:
        """What to say where training rows stand in for test and validation rows."""
        return of_training(self.aligned.splits)

    @property
    def linear_only(self) -> bool:
        """Whether the sample is too large for UMAP to be quick."""
        return len(self.row_ids) > KEPT_ROWS + SECOND_ROWS

    def sentences(self, block: int) -> tuple[str, ...]:
        """What the numbers say, most important first; those about one block are about this one."""
        second = "" if self.second is None else _short(self.second.name)
        return shift_report.sentences(self.shift, self.aligned, at=block, second=second)

    def map(self, block: int, view: View) -> Map | None:
        """The map of a block; None where both sides cannot share one camera."""
        return shift_report.map_of(self.aligned, block, view=view, settings=self.settings)

    def features(self, block: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """One block of both sides, `(n_rows, n_dims)` each."""
        both = self.aligned.features
        return np.asarray(both.base[both.partner(block)]), np.asarray(both.tuned[block])

    def spectra(self, block: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Singular values of the centred target rows, both sides, largest first."""
        target = self.aligned.features.target
        a, b = self.features(block)
        with one_thread():
            return (geometry.spectrum(np.asarray(a[target], np.float64)),
                    geometry.spectrum(np.asarray(b[target], np.float64)))

    def checks(self, block: int) -> tuple[Check, ...]:
        """The null checks, run now on the base side of a block."""
        with one_thread():
            return trust.measure(self.features(block)[0])

    def correct(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Rows fixed and rows broken between the sides; None where a side has no predictions or there are no labels."""
        labels, a, b = self.labels, self.predictions_a, self.predictions_b
        if labels is None or a is None or b is None:
            return None
        known = (labels >= 0) & (a >= 0) & (b >= 0)
        return known & (a != labels) & (b == labels), known & (a == labels) & (b != labels)


def compare(a: Side, b: Side, *, names: tuple[str, str], dataset: Dataset, settings: Settings, workspace: str,
            rows: int, second: str = SHIFT_SET, replayed: bool = False) -> FeatureComparison:
    """Compare two sides: from the cache when measured before, else now (seconds). The newest few stay in memory for the
    next click.

    second, replayed: see `aligned.align`. Raises NotFoundError where features are missing, DataError where the
    dataset's rows are no longer those of the runs.
    """
    other = aligned.second_id(second)
    stamps = (row_facts.table(dataset.id, settings=settings, workspace=workspace).dataset_hash,
              aligned.stamp(a, settings=settings, rows=rows, second=other),
              aligned.stamp(b, settings=settings, rows=rows, second=other))
    make = _compare if rows <= KEPT_ROWS else _compare.__wrapped__
    return make(a, b, names, dataset.id, settings, workspace, rows, second, replayed, stamps)


@functools.lru_cache(maxsize=4)
def _compare(a: Side, b: Side, names: tuple[str, str], dataset_id: str, settings: Settings, workspace: str, rows: int,
             second_set: str, replayed: bool, stamps: Any) -> FeatureComparison:
    from core.data import library

    # 1. The report.
    dataset = library.load(dataset_id, settings=settings, workspace=workspace)
    other = aligned.second_id(second_set)
    second = library.load(other, settings=settings, workspace=workspace) if other else None
    found = _measured(a, b, dataset_id=dataset_id, settings=settings, workspace=workspace, rows=rows, second=second_set,
                      replayed=replayed)
    shift = shift_report.named(shift_report.of(found, settings=settings), found, a=names[0], b=names[1],
                               second=_short(second.name) if second else "")

    # 2. What people see of the rows.
    own = row_facts.contents(dataset, found.row_ids[~found.of_second], settings=settings, workspace=workspace)
    shown = own.shown
    if second is not None:
        far = row_facts.contents(second, found.row_ids[found.of_second], settings=settings, workspace=workspace)
        shown += far.shown

    return FeatureComparison(
        names=names, shift=shift, aligned=found, dataset=dataset, second=second, contents=shown, pictures=own.pictures,
        predictions_a=_predictions(a, found.features.base[-1], found),
        predictions_b=_predictions(b, found.features.tuned[-1], found), settings=settings, rows=rows,
        pooling=feature_paths.of_run(b.folder, settings=settings, rows=rows).recipe.pooling,
        groups=_groups(dataset, found, settings=settings, workspace=workspace), loss_change=_loss_change(a, b, found))


def _groups(dataset: Dataset, found: AlignedSides, *, settings: Settings, workspace: str) -> NDArray[np.int64] | None:
    own = ~found.of_second
    table = row_facts.table(dataset.id, settings=settings, workspace=workspace)
    groups = table.groups_at(found.row_ids[own])
    return None if groups is None else np.append(groups, np.full(int(found.of_second.sum()), row_facts.UNKNOWN))


def _loss_change(a: Side, b: Side, found: AlignedSides) -> NDArray[np.float64] | None:
    """Of every row; those of a second dataset were not judged."""
    own = ~found.of_second
    before, after = (row_facts.losses(side, found.row_ids[own]) for side in (a, b))
    if before is None or after is None:
        return None
    return np.append(after - before, np.full(int(found.of_second.sum()), np.nan))


def _predictions(side: Side, last_block: Any, found: AlignedSides) -> NDArray[np.int64] | None:
    """Of every row; the classes of a second dataset are others, so what a head would say of its rows stays unknown."""
    own = ~found.of_second
    guesses = row_facts.predictions(side, np.asarray(last_block)[own], found.row_ids[own])
    if guesses is None:
        return None
    return np.append(guesses, np.full(int(found.of_second.sum()), row_facts.UNKNOWN))


def _measured(a: Side, b: Side, *, dataset_id: str, settings: Settings, workspace: str, rows: int,
              second: str, replayed: bool) -> AlignedSides:
    """Both sides, with their report in the cache. A server measures one at a time, which takes all cores and hundreds
    of MB: in a workshop thirty people open the page at once. Who waits for a turn does not hold features meanwhile."""
    def load() -> AlignedSides:
        table = row_facts.table(dataset_id, settings=settings, workspace=workspace)
        return aligned.align(a, b, settings=settings, table=table, rows=rows, second=second,
                             replayed=replayed)

    found = load()
    if not shift_report.is_kept(found, settings=settings):
        del found
        with _TURN:
            found = load()
            shift_report.of(found, settings=settings)
    return found


def _short(name: str) -> str:
    """A dataset's name for legends and sentences."""
    return name if len(name) <= NAME_CHARACTERS else f"{name[:NAME_CHARACTERS - 1].rstrip()}…"
