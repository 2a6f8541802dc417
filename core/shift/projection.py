"""The map: one basis for both models, so that an arrow is an exact shadow of the real movement.

Never two separate fits as before and after: on identical data UMAP run twice draws a step of 0.18, t-SNE 0.57.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError
from core.shift.arrays import Table, chunks, pair, squares, table
from core.shift.decomposition import eigh, svd
from core.shift.geometry import class_sums


class View(StrEnum):
    """How the two axes are chosen."""

    UNION = "union"
    """PCA fitted on base, tuned and every checkpoint shown, with equal weight."""
    CHANGE = "change"
    """The directions that hold most of the movement (SVD of tuned − base)."""
    BASE = "base"
    """PCA fitted on the base model's features only: the same axes for every run on it."""
    CLASSES = "classes"
    """Supervised: the directions that separate the classes of the rows it was fitted on."""
    UMAP = "umap"
    """UMAP fitted on both sides together: groups yes, distances no."""

    @property
    def linear(self) -> bool:
        """Whether arrows and the transition slider are true shadows."""
        return self is not View.UMAP


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A linear view: `(x − centre) @ axes`, with orthonormal axes."""

    centre: NDArray[np.float64]
    """`(n_dims,)`."""
    axes: NDArray[np.float64]
    """`(n_dims, 2)`."""

    def look(self, x: ArrayLike) -> NDArray[np.float64]:
        """Positions on the map, `(n_rows, 2)`."""
        return np.asarray((table(x) - self.centre) @ self.axes, np.float64)


def camera(view: View, sides: Sequence[ArrayLike], *, fit_rows: NDArray[np.bool_] | None = None,
           labels: ArrayLike | None = None) -> Camera:
    """The linear camera of a view over models of one width.

    sides: base first, tuned last, checkpoints between; same rows in each. fit_rows and labels: for `CLASSES`, the rows
    (training rows where there are some) and their classes. Raises DataError for `UMAP`, unequal widths, or missing
    labels.
    """
    if len({np.shape(s) for s in sides}) != 1 or view is View.UMAP:
        raise DataError(f"The view {view} has no common linear axes.",
                        why="Sides differ in width or rows, or the view is not linear.",
                        remedy="Show each model in its own pane without arrows, or choose another view.")
    first = table(sides[0])
    centre = np.mean([np.mean(table(s), axis=0) for s in sides], axis=0)
    if view is View.CHANGE:
        moved = table(sides[-1]) - first
        return Camera(centre=centre, axes=_top(moved.T @ moved, _scatter([first], centre)))
    if view is View.BASE:
        return Camera(centre=first.mean(axis=0), axes=_top(_scatter([first], first.mean(axis=0))))
    if view is View.CLASSES:
        if labels is None:
            raise DataError("Class axes need labels.", remedy="Choose the union view, or a dataset with labels.")
        return Camera(centre=centre, axes=_class_axes(sides, np.asarray(labels), fit_rows))
    return Camera(centre=centre, axes=_top(_scatter(sides, centre)))


def turned(camera: Camera, rows: ArrayLike, reference: Camera) -> Camera:
    """The same plane, its axes turned (or mirrored) within it so that `rows` are drawn as like as can be to how
    `reference` draws them. What the plane holds stays as it is.

    Orthogonal Procrustes (Schönemann 1966) of the drawn positions, without scale.
    """
    return Camera(centre=camera.centre, axes=camera.axes @ _turn(camera.look(rows), reference.look(rows)))


def turned_positions(drawn: Sequence[NDArray[np.float64]], like: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Positions of a layout without axes (UMAP), all turned alike so that the first are as `like` as can be."""
    turn = _turn(drawn[0], like)
    return [positions @ turn for positions in drawn]


def _turn(drawn: NDArray[np.float64], like: NDArray[np.float64]) -> NDArray[np.float64]:
    """The orthogonal `(2, 2)` that brings centred positions nearest to others of the same rows."""
    shared = (drawn - drawn.mean(axis=0)).T @ (like - like.mean(axis=0))
    left, _, right = svd(shared)
    return np.asarray(left @ right, np.float64)


def _scatter(sides: Sequence[ArrayLike], centre: NDArray[np.float64]) -> Table:
    """Sum of outer products about the centre over all sides, `(n_dims, n_dims)`."""
    out = np.zeros((len(centre), len(centre)))
    for rows in map(table, sides):
        for part in chunks(len(rows), 8 * len(centre)):
            moved = rows[part] - centre
            out += moved.T @ moved
    return out


def _top(scatter: Table, fallback: Table | None = None) -> Table:
    """The two leading eigenvectors, `(n_dims, 2)`, largest entry positive; missing ones from `fallback`, then any."""
    values, vectors = scipy.linalg.eigh(scatter, subset_by_index=[max(0, len(scatter) - 2), len(scatter) - 1])
    axes = vectors[:, ::-1]
    rank = int(np.sum(values > values[-1] * 1e-12)) if values[-1] > 0 else 0
    if rank < 2 and fallback is not None:
        taken = axes[:, :rank]
        rest = np.eye(len(scatter)) - taken @ taken.T
        axes = np.concatenate([taken, _top(rest @ fallback @ rest)[:, : 2 - rank]], axis=1)
    if axes.shape[1] < 2:
        return np.concatenate([axes, np.zeros((len(scatter), 2 - axes.shape[1]))], axis=1)
    signs = np.sign(axes[np.argmax(np.abs(axes), axis=0), np.arange(2)])
    return np.asarray(axes * np.where(signs == 0, 1, signs), np.float64)


def _class_axes(sides: Sequence[ArrayLike], labels: NDArray[np.int64], fit_rows: NDArray[np.bool_] | None) -> Table:
    """Discriminant axes with shrunk within-class scatter (a tenth of its mean variance added), made orthonormal."""
    rows = np.ones(len(labels), bool) if fit_rows is None else np.asarray(fit_rows, bool)
    groups = np.unique(labels[rows], return_inverse=True)[1]
    if groups.max() < 1:
        raise DataError("Class axes need at least two classes.", remedy="Choose the union view.")
    within = between = np.zeros((np.shape(sides[0])[1],) * 2)
    for side in sides:
        part = table(side)[rows]
        means = class_sums(part, groups) / np.bincount(groups)[:, None]
        inside, outside = part - means[groups], (means - part.mean(axis=0))[groups]
        within, between = within + inside.T @ inside, between + outside.T @ outside
    values, vectors = eigh(within + 0.1 * np.trace(within) / len(within) * np.eye(len(within)))
    whiten = vectors / np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    wanted = whiten @ eigh(whiten.T @ between @ whiten)[1][:, ::-1][:, : min(2, groups.max())]
    axes = np.linalg.qr(wanted)[0]
    return _top(axes @ np.diag(np.arange(axes.shape[1], 0, -1)) @ axes.T, within + between)


def umap_union(sides: Sequence[ArrayLike], *, neighbours: int = 15, seed: int = 0) -> list[NDArray[np.float64]]:
    """UMAP (cosine) fitted on the rows of all sides together; positions a side, `(n_rows, 2)` each. Arrows mean nothing
    here.

    Sides may have different rows but need one width. Takes seconds at a few thousand rows, and longer on the first
    call.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap.umap_ import UMAP

        stacked = np.concatenate([table(s) for s in sides])
        model = UMAP(n_components=2, n_neighbors=min(neighbours, len(stacked) - 1), metric="cosine", random_state=seed,
                     n_jobs=1)
        drawn = np.asarray(model.fit_transform(stacked), np.float64)
    ends = np.cumsum([len(np.asarray(s)) for s in sides])[:-1]
    return list(np.split(drawn, ends))


def between(before: NDArray[np.float64], after: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Positions on the way, (1 − share) · before + share · after: exact in a linear view."""
    return (1 - share) * before + share * after


def variance_shown(sides: Sequence[ArrayLike], axes: NDArray[np.float64]) -> float:
    """Share of the spread about the common mean of all sides that the map's plane holds, 0–1. NaN without spread."""
    tables = [table(side) for side in sides]
    centre = np.mean([side.mean(axis=0) for side in tables], axis=0)
    return _held((side[part] - centre for side in tables for part in chunks(len(side), 16 * side.shape[1])), axes)


def movement_captured(x: ArrayLike, y: ArrayLike, axes: NDArray[np.float64]) -> float:
    """Share of the squared movement that the arrows show, ‖ΔP‖² / ‖Δ‖², 0–1. NaN when nothing moved."""
    a, b = pair(x, y, same_width=True)
    return _held((b[part] - a[part] for part in chunks(len(a), 16 * a.shape[1])), axes)


def _held(parts: Iterable[Table], axes: NDArray[np.float64]) -> float:
    """Share of the summed squares of all rows that lies in the plane of `axes`, 0–1; in parts, to bound memory."""
    total = held = 0.0
    for part in parts:
        total += float(squares(part).sum())
        held += float(squares(part @ axes).sum())
    return min(1.0, held / total) if total > 0 else float("nan")
