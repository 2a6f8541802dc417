"""Every map is turned to one reference: signs, order and turn of its own axes leave no trace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.shift import footer, projection
from core.shift.projection import Camera, View

LINEAR = [View.UNION, View.CHANGE, View.CLASSES]


def cloud(seed: int, *, spread: tuple[float, ...] = (5, 3, 1, 1, 1, 1)) -> np.ndarray:
    """(60, 6) with axes of unequal spread."""
    return np.random.default_rng(seed).standard_normal((60, len(spread))) * np.array(spread)


def mirrored(turn: float, flip: bool) -> np.ndarray:
    """An orthogonal (2, 2)."""
    c, s = np.cos(turn), np.sin(turn)
    return np.array([[c, -s], [s, c]]) @ np.diag([1.0, -1.0 if flip else 1.0])


@settings(max_examples=40, deadline=None)
@given(turn=st.floats(-7, 7), flip=st.booleans(), seed=st.integers(0, 50))
def test_how_a_camera_was_turned_or_mirrored_leaves_no_trace(turn: float, flip: bool, seed: int) -> None:
    x = cloud(seed)
    reference = projection.camera(View.BASE, [x])
    own = projection.camera(View.UNION, [x, x + cloud(seed + 1)])
    other = Camera(centre=own.centre, axes=own.axes @ mirrored(turn, flip))
    a, b = (projection.turned(camera, x, reference) for camera in (own, other))
    np.testing.assert_allclose(a.look(x), b.look(x), atol=1e-9)
    np.testing.assert_allclose(a.axes.T @ a.axes, np.eye(2), atol=1e-12)
    held = [projection.variance_shown([x], camera.axes) for camera in (own, a)]
    assert held[0] == pytest.approx(held[1]), "the plane is the same"


@settings(max_examples=40, deadline=None)
@given(turn=st.floats(-7, 7), flip=st.booleans())
def test_a_layout_without_axes_is_turned_as_a_whole(turn: float, flip: bool) -> None:
    like = cloud(0)[:, :2]
    drawn = [like @ mirrored(turn, flip), cloud(1)[:, :2] @ mirrored(turn, flip)]
    first, second = projection.turned_positions(drawn, like)
    np.testing.assert_allclose(first, like, atol=1e-9)
    np.testing.assert_allclose(second, cloud(1)[:, :2], atol=1e-9)


def test_a_known_turn_is_found() -> None:
    """A quarter turn: x of the reference is y of the camera, and y is minus x."""
    x = np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]])
    reference = Camera(centre=np.zeros(2), axes=np.eye(2))
    own = Camera(centre=np.zeros(2), axes=np.array([[0.0, -1], [1, 0]]))
    np.testing.assert_allclose(projection.turned(own, x, reference).axes, np.eye(2), atol=1e-12)


@pytest.mark.parametrize("view", LINEAR)
def test_two_runs_on_one_base_model_are_drawn_the_same_way_round(view: View) -> None:
    base, labels = cloud(3), np.arange(60) % 3
    reference = projection.camera(View.BASE, [base])
    wanted = reference.look(base)
    for seed in range(4):
        drawn = footer.draw(base, base + 0.3 * cloud(10 + seed), view=view, labels=labels, reference=reference).base
        shared = (drawn - drawn.mean(axis=0)).T @ (wanted - wanted.mean(axis=0))
        np.testing.assert_allclose(shared, shared.T, atol=1e-6 * np.abs(shared).max())
        assert np.linalg.eigvalsh(shared).min() >= -1e-6, "no turn or mirror would bring it nearer"


def test_the_fixed_camera_draws_the_base_side_equally_for_every_run_whatever_the_other_side() -> None:
    base = cloud(3)
    reference = projection.camera(View.BASE, [base])
    first = footer.draw(base, base + cloud(4), view=View.BASE, reference=reference)
    second = footer.draw(base, 5 * cloud(5), view=View.BASE, reference=reference)
    assert np.array_equal(first.base, second.base)
    two_tuned = footer.draw(base + cloud(4), 5 * cloud(5), view=View.BASE, reference=reference)
    assert np.array_equal(two_tuned.base, first.tuned) and np.array_equal(two_tuned.tuned, second.tuned)
