"""Logit lens against a plain softmax."""

import numpy as np
import pytest

from core.errors import DataError
from core.shift import arrays, lens


def test_against_a_softmax(rng, monkeypatch):
    hidden, out, truth = rng.standard_normal((40, 8)), rng.standard_normal((100, 8)), rng.integers(0, 100, 40)
    logits = hidden @ out.T
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 10_000)
    found = lens.read(hidden, out, truth)
    np.testing.assert_array_equal(found.top, shares.argmax(axis=1))
    np.testing.assert_allclose(found.probability, shares[np.arange(40), truth], rtol=1e-4)
    np.testing.assert_array_equal(found.rank, [1 + np.sum(s > s[t]) for s, t in zip(shares, truth, strict=True)])


def test_shapes_are_checked(rng):
    with pytest.raises(DataError):
        lens.read(rng.random((4, 3)), rng.random((9, 2)), np.zeros(4, int))
