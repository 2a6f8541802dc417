"""Cameras: one orthonormal basis for both sides, planted movements, transitions, UMAP on the union."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from core.errors import DataError
from core.shift import projection
from core.shift.projection import View

LINEAR = [View.UNION, View.CHANGE, View.BASE, View.CLASSES]


@pytest.mark.parametrize("view", LINEAR)
def test_axes_are_orthonormal_and_seedless(block, view):
    x, y, labels = block()
    camera = projection.camera(view, [x, y], labels=labels)
    np.testing.assert_allclose(camera.axes.T @ camera.axes, np.eye(2), atol=1e-9)
    np.testing.assert_array_equal(projection.camera(view, [x, y], labels=labels).axes, camera.axes)
    assert (camera.axes[np.argmax(np.abs(camera.axes), axis=0), [0, 1]] > 0).all()


@pytest.mark.parametrize("view", LINEAR)
def test_an_arrow_is_the_exact_shadow_of_the_movement(block, view):
    x, y, labels = block()
    camera = projection.camera(view, [x, y], labels=labels)
    np.testing.assert_allclose(camera.look(y) - camera.look(x), (y - x) @ camera.axes, atol=1e-12)
    np.testing.assert_allclose(projection.between(camera.look(x), camera.look(y), 0.3), camera.look(0.7 * x + 0.3 * y),
                               atol=1e-12)
    np.testing.assert_array_equal(camera.look(x.copy()), camera.look(x))


def test_union_is_the_pca_of_all_sides_together(block):
    x, y, _ = block()
    middle = (x + y) / 2 + 0.1
    camera = projection.camera(View.UNION, [x, middle, y])
    both = np.concatenate([x, middle, y])
    pca = PCA(2).fit(both)
    np.testing.assert_allclose(np.abs(np.sum(camera.axes * pca.components_.T, axis=0)), 1, atol=1e-9)
    assert projection.variance_shown([x, middle, y], camera.axes) == pytest.approx(pca.explained_variance_ratio_.sum())
    base = projection.camera(View.BASE, [x, y])
    np.testing.assert_allclose(np.abs(np.sum(base.axes * PCA(2).fit(x).components_.T, axis=0)), 1, atol=1e-9)
    assert projection.variance_shown([x], base.axes) == pytest.approx(PCA(2).fit(x).explained_variance_ratio_.sum())


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 2), st.integers(5, 40), st.integers(3, 12), st.integers(0, 99))
def test_change_axes_capture_a_movement_of_rank_two_wholly(rank, n, d, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    y = x + rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
    axes = projection.camera(View.CHANGE, [x, y]).axes
    assert projection.movement_captured(x, y, axes) == pytest.approx(1.0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-8)


def test_no_view_captures_more_movement_than_the_change_axes(block):
    x, y, labels = block(noise=0.6)
    shares = {v: projection.movement_captured(x, y, projection.camera(v, [x, y], labels=labels).axes) for v in LINEAR}
    assert max(shares, key=shares.get) is View.CHANGE
    assert all(0 <= s <= 1 for s in shares.values())
    assert np.isnan(projection.movement_captured(x, x, np.eye(32, 2)))


def test_change_axes_of_identical_sides_fall_back_to_the_base(block):
    x, _, _ = block()
    axes = projection.camera(View.CHANGE, [x, x.copy()]).axes
    np.testing.assert_allclose(np.abs(np.sum(axes * projection.camera(View.BASE, [x, x]).axes, axis=0)), 1, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 5])
def test_class_axes_find_planted_classes_in_loud_noise(classes):
    rng = np.random.default_rng(0)
    labels = np.arange(600) % classes
    x = rng.standard_normal((600, 30)) * np.r_[np.full(10, 10.0), np.full(20, 0.5)]
    x[:, 20:20 + classes] += 2 * np.eye(classes)[labels]
    rows = np.arange(600) < 300
    drawn = projection.camera(View.CLASSES, [x, x], labels=labels, fit_rows=rows).look(x)[~rows]
    union = projection.camera(View.UNION, [x, x]).look(x)[~rows]

    def between(p):
        means = np.stack([p[labels[~rows] == c].mean(axis=0) for c in range(classes)])
        return np.max(np.var(means, axis=0) / np.var(p, axis=0))  # the better axis

    assert between(drawn) > 0.5 > 0.1 > between(union)


def test_what_has_no_common_camera_is_refused(rng, block):
    x, y, _ = block()
    for view, sides, kwargs in ((View.UNION, [x, y[:, :4]], {}), (View.UMAP, [x, y], {}), (View.CLASSES, [x, y], {}),
                                (View.CLASSES, [x, y], {"labels": np.zeros(300, int)})):
        with pytest.raises(DataError):
            projection.camera(view, sides, **kwargs)


def test_one_dimension_still_gives_two_axes(rng):
    assert projection.camera(View.UNION, [rng.random((9, 1))] * 2).look(rng.random((9, 1))).shape == (9, 2)


@pytest.mark.slow
def test_umap_on_the_union_draws_identical_rows_together(block):
    x, _, _ = block(n=200)
    before, after = projection.umap_union([x, x.copy()])
    step = np.median(np.linalg.norm(after - before, axis=1)) / np.median(np.linalg.norm(before - before[::-1], axis=1))
    assert step < 0.1
    assert before.shape == after.shape == (200, 2)
