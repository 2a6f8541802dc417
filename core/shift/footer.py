"""The numbers under every map: how far to trust its neighbourhoods, and what it draws when nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError
from core.shift import projection
from core.shift.arrays import chunks, finite, identical, squares, subset, table
from core.shift.displacement import typical_distance
from core.shift.projection import Camera, View

MAX_ROWS = 2000
SHUFFLES = 3
"""Times that class axes are fitted to shuffled labels."""


@dataclass(frozen=True, kw_only=True)
class Map:
    """Both sides drawn with one camera, and the footer's numbers. None where a number has no meaning."""

    view: View
    base: NDArray[np.float64]
    """`(n_rows, 2)`."""
    tuned: NDArray[np.float64]
    arrows: bool
    """Whether lines from base to tuned are true shadows of the movement and there is one."""
    variance_shown: float | None
    """Share of the spread of both sides together that the plane holds."""
    variance_shown_base: float | None
    variance_shown_tuned: float | None
    movement_captured: float | None
    """Share of the squared movement that the arrows show; below 0.2 the map hides most of it."""
    trustworthiness: float | None
    """Are neighbours on the map neighbours in the features? 1 = all, about 0.5 = at random. Mean of both sides."""
    continuity: float | None
    """Are neighbours in the features neighbours on the map?"""
    drawn_step: float | None
    """Median arrow ÷ median distance on the map's base side."""
    null_step: float | None
    """The same when base is drawn against itself: 0 for a linear view."""
    separation: float | None = None
    """Of class axes, which are fitted to the rows they draw: share of these rows whose own class has the nearest
    centroid on the tuned side, 0–1. Mostly the fit's own doing where `separation_shuffled` is as high."""
    separation_shuffled: float | None = None
    """The same with shuffled labels and axes fitted anew, mean of a few: what this view draws of no structure."""


def draw(base: ArrayLike, tuned: ArrayLike, *, view: View = View.UNION, checkpoints: Sequence[ArrayLike] = (),
         labels: ArrayLike | None = None, fit_rows: NDArray[np.bool_] | None = None, seed: int = 0,
         reference: Camera | None = None) -> Map:
    """Both sides on one map with its footer. Same rows and widths; DataError otherwise (`projection.camera`).

    reference: the camera of the base model that every map on it is turned to, and that is itself the view `BASE`; that
    of the base side without it.
    """
    x, y = table(base), table(tuned)
    reference = reference or projection.camera(View.BASE, [x])
    same = identical(x, y)
    if view is View.UMAP:
        before, after = projection.turned_positions(projection.umap_union([x, y], seed=seed), reference.look(x))
        shown: tuple[float | None, ...] = (None, None, None, None)
        null = step(*projection.umap_union([x[subset(len(x), MAX_ROWS, seed)]] * 2, seed=seed))
    else:
        camera = reference
        if view is not View.BASE:
            own = projection.camera(view, [x, *checkpoints, y], fit_rows=fit_rows, labels=labels)
            camera = projection.turned(own, x, reference)
        before, after = camera.look(x), camera.look(y)
        shown = tuple(finite(v) for v in (
            projection.variance_shown([x, y], camera.axes), projection.variance_shown([x], camera.axes),
            projection.variance_shown([y], camera.axes), projection.movement_captured(x, y, camera.axes)))
        null = step(before, camera.look(x.copy()))
    trust, kept = _quality(x, y, before, after, same=same, seed=seed)
    apart = (_separation([x, *checkpoints, y], np.asarray(labels), fit_rows, seed) if view is View.CLASSES
             else (None, None))
    return Map(view=view, base=before, tuned=after, arrows=view.linear and not same,
               variance_shown=shown[0], variance_shown_base=shown[1], variance_shown_tuned=shown[2],
               movement_captured=shown[3], trustworthiness=finite(trust), continuity=finite(kept),
               drawn_step=finite(step(before, after)), null_step=finite(null),
               separation=apart[0], separation_shuffled=apart[1])


def _separation(sides: Sequence[ArrayLike], labels: NDArray[np.int64], fit_rows: NDArray[np.bool_] | None,
                seed: int) -> tuple[float, float]:
    """How far class axes draw the classes apart, and how far they do so with shuffled labels."""
    rows = np.ones(len(labels), bool) if fit_rows is None else np.asarray(fit_rows, bool)
    rng = np.random.default_rng(seed)

    def apart(known: NDArray[np.int64]) -> float:
        given = labels.copy()
        given[rows] = known
        drawn = projection.camera(View.CLASSES, sides, fit_rows=rows, labels=given).look(sides[-1])[rows]
        classes, groups = np.unique(known, return_inverse=True)
        centres = np.stack([drawn[groups == group].mean(axis=0) for group in range(len(classes))])  # (n_classes, 2)
        return float(np.mean(np.argmin(np.linalg.norm(drawn[:, None] - centres, axis=2), axis=1) == groups))

    return apart(labels[rows]), float(np.mean([apart(rng.permutation(labels[rows])) for _ in range(SHUFFLES)]))


def _quality(x: NDArray[np.float64], y: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64], *,
             same: bool, seed: int) -> tuple[float, float]:
    """Mean trustworthiness and continuity of the two panes, on at most `MAX_ROWS` rows."""
    rows = subset(len(x), MAX_ROWS, seed)
    panes = [(x, before)] if same else [(x, before), (y, after)]
    values = [trust_and_continuity(full[rows], drawn[rows]) for full, drawn in panes]
    trust, kept = np.mean(values, axis=0)
    return float(trust), float(kept)


def step(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Median drawn movement ÷ median distance of the drawn base rows. NaN without spread."""
    moved, scale = float(np.median(np.sqrt(squares(after - before)))), typical_distance(before)
    return 0.0 if moved == 0 else moved / scale if scale > 0 else float("nan")


def trust_and_continuity(full: ArrayLike, drawn: ArrayLike, *, k: int = 15) -> tuple[float, float]:
    """Trustworthiness and continuity (Venna and Kaski 2001), Euclidean, 0–1; equal to
    `sklearn.manifold.trustworthiness(full, drawn)` and `(drawn, full)`, but blockwise in memory.

    k is cut below n / 2. DataError below 5 rows; NaN where either side has non-finite numbers.
    """
    a, b = table(full), table(drawn)
    n = len(a)
    if n < 5 or len(b) != n:
        raise DataError("The map's quality cannot be measured.", why=f"It needs at least 5 rows; there are {n}.",
                        remedy="Use a larger probe sample.")
    k = min(k, (n - 1) // 2)
    penalties = np.zeros(2)
    for part in chunks(n, 32 * n):
        near = [_distances(t, part) for t in (a, b)]
        closest = [np.argpartition(d, k - 1, axis=1)[:, :k] for d in near]
        penalties += [_penalty(near[0], closest[1], k), _penalty(near[1], closest[0], k)]
    trust, kept = 1 - 2 * penalties / (n * k * (2 * n - 3 * k - 1))
    return float(trust), float(kept)


def _distances(t: NDArray[np.float64], part: slice) -> NDArray[np.float64]:
    """Squared distances (less each row's own constant) of some rows to all; infinite to themselves."""
    out = squares(t)[None, :] - 2 * (t[part] @ t.T)
    out[np.arange(out.shape[0]), np.arange(len(t))[part]] = np.inf
    return np.asarray(out, np.float64)


def _penalty(distances: NDArray[np.float64], chosen: NDArray[np.int64], k: int) -> float:
    """Sum over chosen neighbours of how far their rank by `distances` exceeds k; ties share their middle rank."""
    lines = np.arange(len(distances))
    ordered = np.sort(distances, axis=1)
    total = 0.0
    for line in lines:
        values = distances[line, chosen[line]]
        ranks = (np.searchsorted(ordered[line], values) + np.searchsorted(ordered[line], values, side="right") + 1) / 2
        total += float(np.sum(np.maximum(ranks - k, 0)))
    return total
