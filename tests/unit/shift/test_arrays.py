"""States of features, bit-for-bit equality, and chunks that cover every row once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from core.shift import arrays
from core.shift.arrays import State


def test_states(rng):
    x = rng.standard_normal((20, 4)).astype(np.float16)
    bad = x.copy()
    bad[3, 1] = np.inf
    assert [arrays.state(v) for v in (x, bad, np.full_like(x, np.nan), np.ones_like(x), np.zeros_like(x))] == [
        State.OK, State.NOT_FINITE, State.NOT_FINITE, State.COLLAPSED, State.COLLAPSED]
    assert arrays.state(np.full((50, 3), 1e-3) + np.eye(50, 3)) is State.OK


def test_one_unit_in_the_last_place_is_not_identical(rng):
    x = rng.standard_normal((5, 3)).astype(np.float16)
    y = x.copy()
    assert arrays.identical(x, y)
    y[4, 2] = np.nextafter(y[4, 2], np.float16(9))
    assert not arrays.identical(x, y)
    assert not arrays.identical(x, x[:, :2])


@given(st.integers(1, 500), st.integers(1, 2**28))
def test_chunks_cover_all_rows_once_within_their_bytes(n, row_bytes):
    parts = list(arrays.chunks(n, row_bytes))
    assert [i for p in parts for i in range(n)[p]] == list(range(n))
    assert all((p.stop - p.start) * row_bytes <= max(arrays.CHUNK_BYTES, row_bytes) for p in parts)


def test_refuses_what_is_not_the_same_rows(rng):
    for x, y in ((rng.random((3, 2)), rng.random((4, 2))), (rng.random(3), rng.random(3)),
                 (np.empty((0, 2)), np.empty((0, 2)))):
        with pytest.raises(DataError):
            arrays.pair(x, y)
    with pytest.raises(DataError, match="widths"):
        arrays.pair(rng.random((3, 2)), rng.random((3, 4)), same_width=True)


def test_subset_is_seeded_sorted_and_without_repeats():
    rows = arrays.subset(1000, 100, 3)
    assert len(set(rows)) == 100 and (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, arrays.subset(1000, 100, 3))
    np.testing.assert_array_equal(arrays.subset(7, 100, 3), np.arange(7))
