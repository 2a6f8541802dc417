"""Displacement: known moves, exactly 0 for the same features, refusal of different widths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from core.errors import DataError
from core.shift import breakit, displacement


@settings(deadline=None, max_examples=30)
@given(st.integers(10, 60), st.integers(2, 20), st.floats(0.1, 10), st.integers(0, 99))
def test_a_shift_by_v_moves_every_row_by_its_length(n, d, length, seed):
    rng = np.random.default_rng(seed)
    x, v = rng.standard_normal((n, d)), rng.standard_normal(d)
    v *= length / np.linalg.norm(v)
    moved = displacement.measure(x, x + v)
    np.testing.assert_allclose(moved.distance, length)
    assert moved.typical() == pytest.approx(length / np.median(pdist(x)), rel=1e-4)


def test_same_features_do_not_move_and_keep_their_direction(rng):
    x = rng.standard_normal((40, 7))
    moved = displacement.measure(x, x.copy())
    assert moved.typical() == 0.0 and (moved.distance == 0).all() and (moved.cosine == 1).all()


def test_scale_keeps_direction_and_rotation_looks_large(block):
    x, y, _ = block()
    np.testing.assert_allclose(displacement.measure(x, 3 * x).cosine, 1)
    assert (displacement.measure(x, breakit.rotate(x, x).tuned).typical() > 0.5 > displacement.measure(x, y).typical()
            > 0)


def test_groups(rng):
    x = rng.standard_normal((100, 5))
    y = x.copy()
    y[60:] += 2
    moved = displacement.measure(x, y)
    assert moved.typical(np.arange(100) < 60) == 0 < moved.typical(np.arange(100) >= 60)
    assert np.isnan(moved.typical(np.zeros(100, bool)))


def test_different_widths_are_refused(rng):
    with pytest.raises(DataError):
        displacement.measure(rng.random((5, 3)), rng.random((5, 4)))


def test_collapsed_base_has_no_scale():
    assert np.isnan(displacement.measure(np.zeros((5, 3)), np.ones((5, 3))).typical())
