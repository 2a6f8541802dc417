"""The map of a run's rows as one side sees them, on which new inputs are placed: the Features page's first view.

The axes are those of `View.BASE` at the last block: PCA fitted once on the base model's features of the probe sample. A
new input is only projected with them; nothing is fitted again, so that base and tuned side, and every run on the base
model, keep the same axes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.analysis import aligned, feature_paths, orientation, row_facts, row_looks
from core.analysis.feature_files import digest_of
from core.analysis.sample import DEFAULT_ROWS
from core.domain.dataset import Dataset
from core.domain.placed import Placed
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError
from core.settings import Settings

if TYPE_CHECKING:
    from core.shift.projection import Camera

NEAR = 5
"""Rows that are named for an input."""


@dataclass(frozen=True, kw_only=True)
class RowsMap:
    """The rows of the probe sample on the map of one side."""

    row_ids: NDArray[np.int64]
    positions: NDArray[np.float64] = field(repr=False)
    """`(n_rows, 2)`."""
    directions: NDArray[np.float32] = field(repr=False)
    """Features of the last block, `(n_rows, width)`, each of length 1."""
    camera: Camera = field(repr=False)
    axes: str
    """Equal for maps with the same axes."""
    variance_shown: float
    """Share of the spread of these rows that the map holds, 0 to 1."""

    def place(self, features: NDArray[np.float32], *, most: int = NEAR) -> list[Placed]:
        """Where inputs lie, given what the last block makes of them, `(n_inputs, width)`."""
        # as the rows are kept, so that a row that is given once more lies on itself
        given = features.astype(np.float16).astype(np.float32)
        distances = 1 - _directions(given) @ self.directions.T  # (n_inputs, n_rows)
        found = []
        for (x, y), line in zip(self.camera.look(given), distances, strict=True):
            order = np.argsort(line, kind="stable")[:most]
            found.append(Placed(x=float(x), y=float(y), near=tuple(int(row) for row in self.row_ids[order]),
                                distances=tuple(max(0.0, float(value)) for value in line[order])))
        return found


@dataclass(frozen=True, kw_only=True)
class DrawnRows:
    """The same with what people see of the rows; one entry a row."""

    map: RowsMap
    labels: NDArray[np.int64]
    """−1 where unknown."""
    classes: tuple[str, ...]
    hover: tuple[str, ...] = field(repr=False)

    def places(self, row_ids: tuple[int, ...]) -> list[int]:
        """Where rows stand in the map, given their ids; one that is not there is left out."""
        place = {int(row): at for at, row in enumerate(self.map.row_ids)}
        return [place[row] for row in row_ids if row in place]


def of(side: Side, *, settings: Settings, rows: int = DEFAULT_ROWS) -> RowsMap:
    """The map as this side (its run named by the folder) sees it. Raises NotFoundError where its features are not on
    disk, RecipeError for a change that is turned up or down."""
    side.check_as_trained()
    where = feature_paths.of_run(side.folder, settings=settings, rows=rows)
    if where.of(side) is None:
        raise _never_made(side)
    if not where.base.is_file():  # all axes are fitted on these
        raise NotFoundError("There is no map of this run's rows yet.",
                            why="The features of its base model are not on disk, and the axes are fitted on these.",
                            remedy="Make them on the Features page, or with python -m core shift.")
    return _of(side, settings, rows, aligned.stamp(side, settings=settings, rows=rows), digest_of(where.base))


@functools.lru_cache(maxsize=8)
def _of(side: Side, settings: Settings, rows: int, stamp: Any, axes: str) -> RowsMap:
    """stamp, axes: of the files that are read."""
    from core.shift import projection
    from core.threads import one_thread

    where = feature_paths.of_run(side.folder, settings=settings, rows=rows)
    found = aligned.load(side, settings=settings, rows=rows)
    block = found.names[-1]
    camera, features = orientation.of(where.base, block, settings=settings), found.blocks[block]
    if camera is None or len(camera.centre) != features.shape[1] or not np.isfinite(features).all():
        raise DataError("The rows of this run cannot be drawn on a map.",
                        why="Features of its last block are not finite or have collapsed, or the two models differ in "
                            "width.", remedy="See on the Features page what can be measured.")
    with one_thread():
        return RowsMap(row_ids=found.row_ids, positions=camera.look(features), camera=camera, axes=axes,
                       directions=_directions(features.astype(np.float32)),
                       variance_shown=projection.variance_shown([features], camera.axes))


def drawn(found: RowsMap, dataset: Dataset, *, settings: Settings, workspace: str) -> DrawnRows:
    """With classes and texts of the rows. Raises DataError where the dataset's rows are no longer those of the run."""
    table = row_facts.table(dataset.id, settings=settings, workspace=workspace)
    labels, _ = table.at(found.row_ids)
    seen = row_facts.contents(dataset, found.row_ids, settings=settings, workspace=workspace)
    heads = [dataset.classes[label] if 0 <= label < len(dataset.classes) else "" for label in labels.tolist()]
    most = row_looks.HOVER_CHARACTERS
    texts = [""] * len(heads) if seen.pictures else [row_looks.short(text[:4 * most], most) for text in seen.shown]
    hover = tuple("\n".join(part for part in parts if part) for parts in zip(heads, texts, strict=True))
    return DrawnRows(map=found, labels=labels, classes=dataset.classes, hover=hover)


def _directions(features: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0, lengths, 1), np.float32)


def _never_made(side: Side) -> NotFoundError:
    if side.which is Which.STEP:
        return NotFoundError(f"There is no map of the rows at step {side.step}.",
                             why="No features were recorded at this step.",
                             remedy="Choose a step that the Features page offers, or the run as it ended.")
    return NotFoundError("There is no map of the rows for this model.",
                         why="Features in 4 bits are made only of runs that were trained on a base model in 4 bits.",
                         remedy="Choose the base model or the run itself.")
