"""What a language model's blocks say, in numbers: averages over texts with their intervals, and a change of activations
against what chance would leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.domain.run import Interval

SAMPLES = 400
"""Draws of whole texts behind an interval."""


def mean(values: ArrayLike, texts: ArrayLike, *, seed: int = 0) -> Interval:
    """Mean over places, with its interval over texts: places of one text are drawn together. values, texts:
    `(n_places,)`; texts: which text (or group of texts) a place is of."""
    one, which = np.asarray(values, np.float64), np.unique(np.asarray(texts), return_inverse=True)[1]
    sums, counts = np.bincount(which, one), np.bincount(which)
    times = _draws(len(counts), seed)  # (n_draws, n_texts)
    return _interval(float(one.mean()), times @ sums / (times @ counts))


def median(values: ArrayLike, texts: ArrayLike, *, seed: int = 0) -> Interval:
    """Median over places, with its interval over texts; see `mean`."""
    one, which = np.asarray(values, np.float64), np.unique(np.asarray(texts), return_inverse=True)[1]
    order = np.argsort(one, kind="stable")
    ranked, which = one[order], which[order]
    weights = _draws(int(which.max()) + 1, seed)[:, which].cumsum(axis=1)  # (n_draws, n_places)
    middle = (weights < weights[:, -1:] / 2).sum(axis=1)
    return _interval(float(np.median(one)), ranked[middle])


def _draws(n_texts: int, seed: int) -> NDArray[np.float64]:
    """How often each text is in a draw of as many texts, `(n_draws, n_texts)`."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_texts, np.full(n_texts, 1 / n_texts), size=SAMPLES).astype(np.float64)


def _interval(value: float, draws: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a tuning left in a block on texts that it is not about."""

    direction: NDArray[np.float64]
    """The mean change of the activation, `(n_dims,)`."""
    size: float
    """Its norm."""
    typical: float
    """Norm of the typical activation before the change."""
    agreement: float | None
    """Cosine between the mean changes on two halves of the texts: 1 = the same on every text, about 0 = chance; None
    where nothing changed."""
    halves: tuple[NDArray[np.float64], NDArray[np.float64]]
    """The mean changes on the two halves."""


def left(base: ArrayLike, tuned: ArrayLike) -> Left:
    """The mean change over texts. base, tuned: activations `(n_texts, n_dims)` of the same texts."""
    a, b = np.asarray(base, np.float64), np.asarray(tuned, np.float64)
    moved = b - a
    one, two = moved[::2].mean(axis=0), moved[1::2].mean(axis=0)
    sizes = float(np.linalg.norm(one) * np.linalg.norm(two))
    direction = moved.mean(axis=0)
    return Left(direction=direction, size=float(np.linalg.norm(direction)),
                typical=float(np.median(np.linalg.norm(a, axis=1))), halves=(one, two),
                agreement=float(one @ two / sizes) if sizes > 0 else None)


def random_directions(size: float, n_dims: int, count: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Directions of that norm that nothing taught, `(count, n_dims)`: the yardstick for the words of a real one."""
    found = np.random.default_rng(seed).standard_normal((count, n_dims))
    return np.asarray(found * (size / np.linalg.norm(found, axis=1, keepdims=True)))


def cosine(a: ArrayLike, b: ArrayLike) -> float | None:
    """Between two directions; None where one of them is nothing."""
    one, two = np.asarray(a, np.float64), np.asarray(b, np.float64)
    sizes = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two / sizes) if sizes > 0 else None
