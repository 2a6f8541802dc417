"""Decompositions with and without LAPACK's quick routine: the same values, and no failure that a slower one avoids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.linalg import LinAlgError
from scipy.linalg import orthogonal_procrustes

from core.shift import decomposition, domain_gap, procrustes


def failing(*args: Any, **options: Any) -> Any:
    raise LinAlgError("SVD did not converge")


@pytest.fixture(params=["quick", "slow"])
def routine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "slow":
        monkeypatch.setattr(np.linalg, "svd", failing)
        monkeypatch.setattr(np.linalg, "eigh", failing)
    return str(request.param)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(30, 30), (30, 7), (7, 30)])
def test_singular_values_and_vectors(routine: str, shape: tuple[int, int], kind: type) -> None:
    matrix: Any = np.random.default_rng(0).standard_normal(shape).astype(kind)
    left, values, right = decomposition.svd(matrix, full_matrices=False)
    tolerance = 1e-5 if kind is np.float32 else 1e-12
    assert np.allclose((left * values) @ right, matrix, atol=10 * tolerance)
    assert np.allclose(values**2, np.linalg.eigvalsh(matrix @ matrix.T)[::-1][: len(values)], rtol=1e-3, atol=tolerance)


def test_eigenvalues_and_vectors(routine: str) -> None:
    values, vectors = decomposition.eigh(np.diag([3.0, 1.0, 2.0]))
    assert values.tolist() == pytest.approx([1, 2, 3]) and np.abs(vectors).tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("measured", [
    lambda a, b: procrustes.measure(a, b).residual, lambda a, b: procrustes.measure(a, b).angle,
    lambda a, b: domain_gap.frechet(a, b)], ids=["residual", "angle", "frechet"])
def test_a_measure_is_the_same_by_either_routine(monkeypatch: pytest.MonkeyPatch,
                                                 measured: Callable[[Any, Any], float]) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((80, 12)), rng.standard_normal((80, 12))
    quick = measured(a, b)
    monkeypatch.setattr(np.linalg, "svd", failing)
    monkeypatch.setattr(np.linalg, "eigh", failing)
    assert measured(a, b) == pytest.approx(quick, rel=1e-9)


def test_the_rotation_is_that_of_scipy() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((40, 9)), rng.standard_normal((40, 9))
    assert np.allclose(procrustes._rotation(a, b), orthogonal_procrustes(a, b)[0])
