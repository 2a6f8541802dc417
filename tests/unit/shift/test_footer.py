"""The footer: trustworthiness and continuity against scikit-learn and zadu, null steps, the known answer on digits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from zadu.measures import trustworthiness_continuity

from core.errors import DataError
from core.shift import arrays, footer
from core.shift.projection import View


@settings(deadline=None, max_examples=25)
@given(st.integers(8, 90), st.integers(2, 20), st.integers(1, 15), st.integers(0, 99))
def test_equal_to_scikit_learn_and_zadu(n, d, k, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    drawn = x[:, :2] + 0.3 * rng.standard_normal((n, 2))
    k = min(k, (n - 1) // 2)
    trust, kept = footer.trust_and_continuity(x, drawn, k=k)
    assert trust == pytest.approx(trustworthiness(x, drawn, n_neighbors=k))
    assert kept == pytest.approx(trustworthiness(drawn, x, n_neighbors=k))
    other = trustworthiness_continuity.measure(x, drawn, k=k)
    assert (trust, kept) == pytest.approx((other["trustworthiness"], other["continuity"]))


def test_digits(monkeypatch):
    x = load_digits().data
    found = footer.trust_and_continuity(x, PCA(2).fit_transform(x))
    assert found == pytest.approx((0.8288, 0.9455), abs=1e-4)
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 2_000_000)
    assert footer.trust_and_continuity(x, PCA(2).fit_transform(x)) == pytest.approx(found)


def test_a_random_layout_reads_one_half(rng):
    assert (footer.trust_and_continuity(rng.standard_normal((500, 20)), rng.standard_normal((500, 2)))
            == pytest.approx((0.5, 0.5), abs=0.03))
    with pytest.raises(DataError):
        footer.trust_and_continuity(rng.random((4, 3)), rng.random((4, 2)))


@pytest.mark.parametrize("view", [View.UNION, View.CHANGE, View.BASE, View.CLASSES])
def test_linear_views_draw_nothing_when_nothing_changed(block, view):
    x, y, labels = block()
    same, moved = footer.draw(x, x.copy(), view=view, labels=labels), footer.draw(x, y, view=view, labels=labels)
    assert not same.arrows and same.drawn_step == same.null_step == 0.0 and same.movement_captured is None
    np.testing.assert_array_equal(same.base, same.tuned)
    assert moved.arrows and moved.drawn_step > 0 == moved.null_step and 0 < moved.movement_captured <= 1
    assert moved.variance_shown_base == pytest.approx(np.var(moved.base, axis=0).sum() / np.var(x, axis=0).sum())


def test_checkpoints_share_the_camera(block):
    x, y, _ = block()
    far = x + 5 * np.roll(y, 1, axis=1)
    assert not np.allclose(footer.draw(x, y).base, footer.draw(x, y, checkpoints=[far]).base)


@pytest.mark.slow
def test_umap_has_no_arrows_and_its_null_step_is_measured(block):
    x, y, _ = block(n=150)
    found = footer.draw(x, y, view=View.UMAP)
    assert not found.arrows and found.movement_captured is None and found.variance_shown is None
    assert 0 <= found.null_step < found.drawn_step
    assert 0.5 < found.trustworthiness <= 1


def test_class_axes_say_how_far_they_draw_noise_apart():
    """400 rows of noise with 384 dimensions in five classes: far above the chance of 0.2, and so with shuffled
    labels."""
    rng = np.random.default_rng(0)
    noise, labels = rng.standard_normal((400, 384)), np.arange(400) % 5
    drawn = footer.draw(noise, noise + 0.01 * rng.standard_normal((400, 384)), view=View.CLASSES, labels=labels)
    assert drawn.separation > 0.6
    assert abs(drawn.separation - drawn.separation_shuffled) < 0.1
    real = noise + 6 * rng.standard_normal((5, 384))[labels]
    drawn = footer.draw(real, real + 0.01, view=View.CLASSES, labels=labels)
    assert drawn.separation > drawn.separation_shuffled + 0.1
    assert footer.draw(noise, real, view=View.UNION).separation is None
