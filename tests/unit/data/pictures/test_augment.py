"""Augmentation is a function of (picture, level, seed, epoch, row) and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.pictures.augment import LEVELS, augment


def picture(height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_off_changes_nothing() -> None:
    assert augment(picture(), level="off", seed=0, epoch=0, row=0) is not None
    np.testing.assert_array_equal(augment(picture(), level="off", seed=0, epoch=3, row=1), picture())


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_seed_epoch_and_row_each_decide(level: str) -> None:
    first = augment(picture(), level=level, seed=1, epoch=2, row=3)
    np.random.default_rng().random(100)
    np.testing.assert_array_equal(first, augment(picture(), level=level, seed=1, epoch=2, row=3))
    for other in ({"seed": 2}, {"epoch": 3}, {"row": 4}):
        assert not np.array_equal(first, augment(picture(), level=level, **({"seed": 1, "epoch": 2, "row": 3} | other)))


def test_light_never_mirrors() -> None:
    """A bright left third stays left of the middle, whatever is drawn."""
    shape = np.zeros((30, 30, 3), np.uint8)
    shape[:, :8] = 255
    for row in range(50):
        found = augment(shape, level="light", seed=0, epoch=0, row=row).astype(float)
        assert found[:, :15].mean() >= found[:, 15:].mean()
    mirrored = [augment(shape, level="strong", seed=0, epoch=0, row=row).astype(float) for row in range(50)]
    assert any(found[:, :15].mean() < found[:, 15:].mean() for found in mirrored)


@settings(max_examples=40, deadline=None)
@given(level=st.sampled_from(sorted(LEVELS)), height=st.integers(1, 40), width=st.integers(1, 40),
       seed=st.integers(0, 2**31 - 1), row=st.integers(0, 10**6))
def test_shape_and_type_are_kept(level: str, height: int, width: int, seed: int, row: int) -> None:
    before = picture(height, width)
    after = augment(before, level=level, seed=seed, epoch=0, row=row)
    assert after.shape == before.shape and after.dtype == np.uint8
    np.testing.assert_array_equal(before, picture(height, width))
