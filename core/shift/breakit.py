"""Break it: harmless and harmful changes to features, to watch which number is fooled. Also used by the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.shift.arrays import Table, pair


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Both sides after a break."""

    base: Table
    tuned: Table
    order: NDArray[np.int64]
    """Which row of the original each tuned row is (differs from 0 … n−1 only for shuffled rows)."""


@dataclass(frozen=True, kw_only=True)
class Break:
    """One switch of the page."""

    name: str
    label: str
    expect: str
    """What to look for, one sentence."""
    apply: Callable[[ArrayLike, ArrayLike, int], Broken]
    """(base, tuned, seed) -> Broken."""


def rotate(x: ArrayLike, y: ArrayLike, seed: int = 0) -> Broken:
    """Turn the tuned side by a random rotation."""
    a, b = pair(x, y)
    width = b.shape[1]
    turn, upper = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))
    return _broken(a, b @ (turn * np.sign(np.diag(upper))))


def scale(x: ArrayLike, y: ArrayLike, seed: int = 0) -> Broken:
    """Make the tuned side three times as large."""
    a, b = pair(x, y)
    return _broken(a, 3.0 * b)


def shuffle(x: ArrayLike, y: ArrayLike, seed: int = 0) -> Broken:
    """Deal the tuned rows out in another order; `order` tells which label each row now has."""
    a, b = pair(x, y)
    order = np.random.default_rng(seed).permutation(len(b))
    return Broken(base=a, tuned=b[order], order=order)


def outlier(x: ArrayLike, y: ArrayLike, seed: int = 0) -> Broken:
    """Send one tuned row a thousand typical lengths away."""
    a, b = pair(x, y)
    b = b.copy()
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(b.shape[1])
    length = float(np.sqrt(np.mean(np.sum(np.square(b - b.mean(axis=0)), axis=1))))
    b[rng.integers(len(b))] += 1000 * length * direction / np.linalg.norm(direction)
    return _broken(a, b)


def rogue(x: ArrayLike, y: ArrayLike, seed: int = 0) -> Broken:
    """Give both sides one and the same huge first dimension."""
    a, b = (t.copy() for t in pair(x, y))
    spread = max(float(np.sqrt(np.mean(np.sum(np.square(t - t.mean(axis=0)), axis=1)))) for t in (a, b))
    huge = 10 * spread * np.random.default_rng(seed).standard_normal(len(a))
    a[:, 0] = b[:, 0] = huge
    return _broken(a, b)


def _broken(a: Table, b: Table) -> Broken:
    return Broken(base=a, tuned=b, order=np.arange(len(b)))


BREAKS: tuple[Break, ...] = (
    Break(name="rotate", label="Rotate B", apply=rotate,
          expect="Nothing was lost: CKA and neighbours kept stay as they were; displacement is fooled."),
    Break(name="scale", label="Scale B by 3", apply=scale,
          expect="Nothing was lost: CKA, neighbours and accuracy stay; displacement grows, Procrustes "
                 "names the scale."),
    Break(name="shuffle", label="Shuffle the rows of B", apply=shuffle,
          expect="All kinship of rows is gone: CKA falls to 0 and neighbours to chance, but k-NN accuracy of "
                 "B cannot tell."),
    Break(name="outlier", label="One far-away row in B", apply=outlier,
          expect="One row of thousands: CKA collapses, while neighbours kept hardly change."),
    Break(name="rogue", label="A huge dimension in both", apply=rogue,
          expect="One shared dimension drowns the rest: CKA rises to about 1, although rows keep no more "
                 "neighbours than before."),
)
