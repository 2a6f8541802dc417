"""Averages over texts and what a tuning left, against what can be worked out by hand."""

import numpy as np
import pytest

from core.shift import lens


def test_places_of_one_text_are_drawn_together(rng):
    """Hundreds of equal places of few texts are as uncertain as the texts."""
    texts = np.repeat(np.arange(20), 50)
    level = rng.standard_normal(20)[texts]
    found = lens.mean(level, texts)
    assert found.value == pytest.approx(level.mean())
    standard_error = level.reshape(20, 50)[:, 0].std() / np.sqrt(20)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * standard_error, rel=0.15)
    alone = lens.mean(level, np.arange(1000))
    assert alone.high - alone.low < (found.high - found.low) / 4


def test_a_median_rank_stays_one_of_the_ranks():
    ranks, texts = np.array([1, 1, 1, 5, 900, 3, 3, 2]), np.array([0, 0, 0, 1, 1, 2, 2, 3])
    found = lens.median(ranks, texts)
    assert found.value == np.median(ranks)
    assert found.low >= 1
    assert found.high <= 900
    same = lens.median(np.full(8, 7), texts)
    assert (same.low, same.value, same.high) == (7, 7, 7)


def test_what_is_the_same_on_every_text_is_left_and_noise_is_not(rng):
    base = rng.standard_normal((400, 64))
    push = np.zeros(64)
    push[3] = 5
    found = lens.left(base, base + push + 0.1 * rng.standard_normal(base.shape))
    assert found.direction.argmax() == 3
    assert found.size == pytest.approx(5, rel=0.01)
    assert found.typical == pytest.approx(8, rel=0.02)  # √64
    assert found.agreement > 0.999
    noise = lens.left(base, base + rng.standard_normal(base.shape))
    assert abs(noise.agreement) < 0.4
    still = lens.left(base, base)
    assert (still.size, still.agreement) == (0, None)


def test_random_directions_have_the_size_that_is_asked_for():
    found = lens.random_directions(3.0, 50, 4)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 3)
    assert abs(lens.cosine(found[0], found[1])) < 0.5
    assert lens.cosine(found[0], np.zeros(50)) is None
