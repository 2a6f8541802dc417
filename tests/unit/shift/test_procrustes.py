"""Procrustes: pure rotations and scales leave nothing, independent features leave 2 on rows not fitted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.shift import procrustes


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 15), st.floats(0.05, 20), st.floats(-5, 5), st.integers(0, 99))
def test_rotation_scale_and_shift_leave_nothing(d, scale, shift, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((6 * d + 10, d))
    found = procrustes.measure(x, scale * x @ np.linalg.qr(rng.standard_normal((d, d)))[0] + shift)
    assert found.residual == pytest.approx(0, abs=1e-9)
    assert found.scale == pytest.approx(scale) and found.determined


def test_independent_features_leave_two(rng):
    found = procrustes.measure(*rng.standard_normal((2, 2000, 50)))
    assert found.residual == pytest.approx(2.0, abs=0.15)
    assert procrustes.measure(*rng.standard_normal((2, 4000, 4))).residual == pytest.approx(2.0, abs=0.15)


def test_wide_independent_features_are_not_overfitted(rng):
    found = procrustes.measure(*rng.standard_normal((2, 100, 768)))
    assert found.residual == pytest.approx(2.0, abs=0.1) and not found.determined


def test_angle(rng):
    x = rng.standard_normal((500, 2))
    quarter = np.radians(30)
    turned = x @ np.array([[np.cos(quarter), -np.sin(quarter)], [np.sin(quarter), np.cos(quarter)]])
    assert procrustes.measure(x, turned).angle == pytest.approx(30)
    assert procrustes.measure(x, 2 * x).angle == pytest.approx(0, abs=1e-4)


def test_identical_is_exact(rng):
    x = rng.standard_normal((30, 40))
    found = procrustes.measure(x, x.copy())
    assert (found.residual, found.angle, found.scale, found.determined) == (0.0, 0.0, 1.0, True)


def test_different_widths_are_refused(rng):
    with pytest.raises(DataError):
        procrustes.measure(rng.random((5, 3)), rng.random((5, 4)))
