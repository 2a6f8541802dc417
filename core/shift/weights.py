"""What training did to the weights: size and spectrum of ΔW a module, and intruder dimensions.

Intruder dimensions: Shuttleworth et al. 2024 (arXiv 2410.21228).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError
from core.shift.arrays import Table
from core.shift.decomposition import eigh

_ONE_KEY = ("Albert", "Bart", "Bert", "Camembert", "CLIP", "DeiT", "DistilBert", "Electra", "MPNet", "Roberta", "ViT",
            "XLMRoberta")
"""Families (prefixes of architecture names) whose attention scores are query · key plus what no key weight is in: no
rotary positions, no products of keys with relative positions."""
_KEY_BIAS = re.compile(r"(^|\.)(key|k_lin|k_proj|k)\.bias$")


def without_effect(name: str, architecture: str) -> bool:
    """Whether changing this weight changes nothing that the model computes: the bias of a key adds the same to all
    scores of a query, which the softmax takes out again."""
    family = architecture.removesuffix("Model").split("For")[0]
    return bool(_KEY_BIAS.search(name)) and family in _ONE_KEY


@dataclass(frozen=True, kw_only=True)
class ModuleShift:
    """How one weight changed."""

    name: str
    shape: tuple[int, ...]
    relative: float
    """‖ΔW‖ / ‖W‖ (Frobenius); exactly 0 when untouched. NaN when the base weight is all zeros."""
    singular: tuple[float, ...]
    """Singular values of ΔW, largest first; empty for vectors and untouched weights."""
    rank90: int
    """Fewest singular directions of ΔW that hold 90 % of its energy; 0 when untouched."""
    intruders: int | None
    """Of the 10 largest tuned left directions, those unlike (|cos| < 0.5) every base one; None for vectors."""


def measure(base: Mapping[str, ArrayLike], tuned: Mapping[str, ArrayLike]) -> list[ModuleShift]:
    """Every weight that both models have, in the base's order. Raises DataError naming a weight whose shape differs."""
    return [module(name, base[name], tuned[name]) for name in base if name in tuned]


def module(name: str, base: ArrayLike, tuned: ArrayLike) -> ModuleShift:
    """One weight; kernels of more than two axes are read as (out, everything else)."""
    before, after = np.asarray(base, np.float64), np.asarray(tuned, np.float64)
    if before.shape != after.shape:
        raise DataError(f"The weight {name} cannot be compared.",
                        why=f"Its shape is {before.shape} before and {after.shape} after.",
                        remedy="Compare merged weights of the same base model.")
    delta, size = after - before, float(np.linalg.norm(before))
    changed = bool(delta.any())
    relative = (float(np.linalg.norm(delta)) / size if size > 0 else float("nan")) if changed else 0.0
    if before.ndim < 2:
        return ModuleShift(name=name, shape=before.shape, relative=relative, singular=(), rank90=int(changed),
                           intruders=None)
    if not changed:
        return ModuleShift(name=name, shape=before.shape, relative=0.0, singular=(), rank90=0, intruders=0)
    singular = _directions(_matrix(delta))[1]
    return ModuleShift(name=name, shape=before.shape, relative=relative, singular=tuple(float(s) for s in singular),
                       rank90=energy_rank(singular), intruders=intruders(_matrix(before), _matrix(after)))


def energy_rank(singular: NDArray[np.float64], *, share: float = 0.9) -> int:
    """Fewest leading singular values whose squares reach this share of the total; 0 for a zero matrix."""
    energy = np.cumsum(np.square(singular))
    return int(np.searchsorted(energy, share * energy[-1] * (1 - 1e-12)) + 1) if energy.size and energy[-1] > 0 else 0


def intruders(base: ArrayLike, tuned: ArrayLike, *, top: int = 10, limit: float = 0.5) -> int:
    """Of the `top` largest left singular directions of the tuned matrix, those whose best |cos| with any base one is
    below `limit`.

    Dense noise gives 0, a planted large rank-one change 1. Use merged weights. A base that is all zeros makes every one
    new.
    """
    before, after = _left(np.asarray(base, np.float64)), _left(np.asarray(tuned, np.float64))
    best = np.abs(before.T @ after[:, :top]).max(axis=0) if before.size else np.zeros(min(top, after.shape[1]))
    return int(np.sum(best < limit))


def _left(matrix: Table) -> Table:
    """Left singular directions that carry something, strongest first, `(out, rank)`."""
    vectors, lengths = _directions(matrix)
    return vectors[:, lengths > 0]


def _directions(matrix: Table) -> tuple[Table, NDArray[np.float64]]:
    """Left singular vectors `(out, rank)` and values, largest first, from the smaller Gram matrix: many times faster
    than an SVD.

    Squaring loses what is below 1e-7 of the largest value; such directions read 0.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    energy, vectors = eigh(matrix.T @ matrix if tall else matrix @ matrix.T)
    lengths = np.sqrt(np.maximum(energy[::-1], 0))
    lengths[lengths <= lengths.max(initial=0) * 1e-7] = 0
    vectors = vectors[:, ::-1]
    if tall:
        vectors = np.divide(matrix @ vectors, lengths, out=np.zeros((matrix.shape[0], len(lengths))), where=lengths > 0)
    return np.asarray(vectors, np.float64), lengths


def _matrix(weight: NDArray[np.float64]) -> Table:
    return weight.reshape(weight.shape[0], -1)
