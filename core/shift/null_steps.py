"""What each way of drawing shows when nothing changed, and of a real change: why the map is drawn as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.shift import displacement, footer, projection
from core.shift.arrays import Table, subset, table
from core.shift.projection import View

MAX_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Step:
    """One way of drawing. Steps are median movement on the map ÷ median distance on its base side."""

    view: str
    identical: float
    """Drawn when base is compared with itself."""
    changed: float
    """Drawn for the change at hand."""
    real: float
    """The change in the full space: median move ÷ median distance."""


def measure(base: ArrayLike, tuned: ArrayLike, *, labels: NDArray[np.int64] | None = None,
            seed: int = 0) -> tuple[Step, ...]:
    """Every view of the page, then two never shown: UMAP and t-SNE fitted twice. At most 1,000 rows; a minute."""
    rows = subset(len(np.asarray(base)), MAX_ROWS, seed)
    x, y = table(base)[rows], table(tuned)[rows]
    known = None if labels is None else labels[rows]
    real = displacement.measure(x, y, seed=seed).typical()
    views = [view for view in View if view is not View.CLASSES or known is not None]
    names = {View.UNION: "PCA on the union (default)", View.CHANGE: "change axes", View.BASE: "base camera",
             View.CLASSES: "class axes", View.UMAP: "UMAP on the union"}
    out = []
    for view in views:
        drawn = footer.draw(x, y, view=view, labels=known, seed=seed)
        out.append(Step(view=names[view], identical=drawn.null_step or 0.0, changed=drawn.drawn_step or 0.0, real=real))
    for name, fit in (("UMAP fitted twice (never shown)", _umap), ("t-SNE fitted twice (never shown)", _tsne)):
        first = fit(x, seed)
        out.append(Step(view=name, identical=footer.step(first, fit(x, seed + 1)),
                        changed=footer.step(first, fit(y, seed + 1)), real=real))
    return tuple(out)


def on_digits(*, seed: int = 0) -> tuple[Step, ...]:
    """The same on scikit-learn's digits, lifted to 384 dimensions, with a made-up tune that draws the classes apart."""
    from sklearn.datasets import load_digits

    digits, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    lift = rng.standard_normal((digits.shape[1], 384)) / np.sqrt(digits.shape[1])
    base = np.tanh((digits - digits.mean(axis=0)) / 8 @ lift)
    means = np.stack([base[labels == c].mean(axis=0) for c in range(10)]) - base.mean(axis=0)
    pull = means + 0.5 * means[(np.arange(10) + 1) % 10]
    tuned = base + 0.02 * rng.standard_normal(base.shape)
    scale = 0.4 * displacement.typical_distance(base) / np.median(np.linalg.norm(pull, axis=1))
    return measure(base, tuned + scale * pull[labels], labels=labels.astype(np.int64), seed=seed)


def _umap(x: Table, seed: int) -> Table:
    return projection.umap_union([x], seed=seed)[0]


def _tsne(x: Table, seed: int) -> Table:
    from sklearn.manifold import TSNE

    return np.asarray(TSNE(n_components=2, init="random", metric="cosine", random_state=seed).fit_transform(x),
                      np.float64)
