"""NC1, ranks and silhouette: closed forms, scikit-learn, invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import silhouette_score

from core.shift import geometry


def simplex(classes, d, turn):
    corners = np.eye(classes) - 1 / classes
    corners *= np.sqrt(classes / (classes - 1))
    return np.pad(corners, ((0, 0), (0, d - classes))) @ turn


def test_nc1_of_a_simplex(turn):
    means, labels = simplex(5, 20, turn(20)), np.arange(500) % 5
    assert geometry.nc1(means[labels], labels) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("classes", "sigma"), [(5, 0.1), (3, 0.5)])
def test_nc1_of_a_noisy_simplex(turn, classes, sigma):
    labels = np.arange(60_000) % classes
    x = simplex(classes, 20, turn(20))[labels] + sigma * np.random.default_rng(1).standard_normal((60_000, 20))
    assert geometry.nc1(x, labels) == pytest.approx(sigma**2 * (classes - 1) ** 2 / classes, rel=0.02)


def test_nc1_against_its_definition(rng):
    labels = np.repeat([0, 1, 2], [20, 30, 40])
    x = rng.standard_normal((90, 8)) + labels[:, None]
    x[:, 0] += (labels == 1) * 2
    means = np.stack([x[labels == c].mean(axis=0) for c in range(3)])
    within = sum((x[labels == c] - means[c]).T @ (x[labels == c] - means[c]) for c in range(3)) / 90
    apart = means - means.mean(axis=0)
    expected = np.trace(within @ np.linalg.pinv(apart.T @ apart / 3, rcond=1e-9)) / 3
    assert geometry.nc1(x, labels) == pytest.approx(expected)
    assert geometry.nc1(5 * x + 3, labels + 4) == pytest.approx(expected)


def test_nc1_has_no_value_without_class_structure(rng):
    x = rng.standard_normal((30, 3))
    assert np.isnan(geometry.nc1(x, np.zeros(30)))
    assert np.isnan(geometry.nc1(x, np.arange(30) % 6))
    assert np.isnan(geometry.nc1(np.ones((30, 3)), np.arange(30) % 2))


def test_effective_rank_of_orthonormal_columns_and_of_rank_one(rng):
    q = rng.standard_normal((200, 32))
    q = np.linalg.qr(q - q.mean(axis=0))[0]
    assert geometry.effective_rank(geometry.spectrum(q)) == pytest.approx(32)
    assert geometry.participation_ratio(geometry.spectrum(q)) == pytest.approx(32)
    one = geometry.spectrum(np.outer(rng.standard_normal(200), rng.standard_normal(50)))
    assert geometry.effective_rank(one) == pytest.approx(1) and geometry.participation_ratio(one) == pytest.approx(1)
    assert np.isnan(geometry.effective_rank(geometry.spectrum(np.ones((9, 4)))))


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 40), st.integers(1, 40), st.floats(0.1, 50), st.integers(0, 99))
def test_ranks_stay_under_the_ceiling_and_ignore_rotation_and_scale(n, d, scale, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    singular = geometry.spectrum(x)
    np.testing.assert_allclose(singular, np.linalg.svd(x - x.mean(axis=0), compute_uv=False), atol=1e-6)
    rank = geometry.effective_rank(singular)
    assert 1 - 1e-9 <= geometry.participation_ratio(singular) <= rank + 1e-6 <= geometry.ceiling(n, d) + 2e-6
    turned = geometry.spectrum(scale * x @ np.linalg.qr(rng.standard_normal((d, d)))[0])
    assert geometry.effective_rank(turned) == pytest.approx(rank, rel=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.integers(6, 60), st.integers(2, 12), st.integers(2, 5), st.integers(0, 99))
def test_silhouette_equal_to_scikit_learn(n, d, classes, seed):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    x = rng.standard_normal((n, d)) + np.eye(classes, d)[labels]
    assert geometry.silhouette(x, labels) == pytest.approx(silhouette_score(x, labels, metric="cosine"), abs=1e-9)


def test_silhouette_without_classes_has_no_value(rng):
    assert np.isnan(geometry.silhouette(rng.random((5, 2)), np.zeros(5)))
    assert np.isnan(geometry.silhouette(rng.random((5, 2)), np.arange(5)))
