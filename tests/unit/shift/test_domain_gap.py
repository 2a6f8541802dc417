"""MMD² and Fréchet: closed forms, a textbook implementation, honest p-values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel

from core.errors import DataError
from core.shift import domain_gap


def test_mmd_against_the_textbook(rng):
    a, b = rng.standard_normal((40, 6)), rng.standard_normal((30, 6)) + 0.5
    both = np.concatenate([a, b])
    distances = np.square(both[:, None] - both[None]).sum(axis=2)
    gamma = 1 / (2 * np.median(distances[::2, 1::2]))
    k_aa, k_bb, k_ab = rbf_kernel(a, a, gamma), rbf_kernel(b, b, gamma), rbf_kernel(a, b, gamma)
    expected = (k_aa.sum() - 40) / (40 * 39) + (k_bb.sum() - 30) / (30 * 29) - 2 * k_ab.mean()
    value, p_value = domain_gap.mmd(a, b)
    assert value == pytest.approx(expected, abs=1e-6)
    assert p_value <= 0.02


def test_one_population_has_no_gap_and_even_p_values():
    pairs = [np.random.default_rng(s).standard_normal((80, 5)) for s in range(60)]
    found = [domain_gap.mmd(x[:40], x[40:], permutations=99, seed=s) for s, x in enumerate(pairs)]
    values, p_values = np.array(found).T
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(60)
    assert np.mean(p_values < 0.1) < 0.25 and 0.35 < p_values.mean() < 0.65
    assert p_values.min() >= 1 / 100


@settings(deadline=None, max_examples=30)
@given(st.integers(20, 80), st.integers(1, 8), st.floats(0.1, 4), st.integers(0, 99))
def test_frechet_of_a_shift_and_of_a_scale(n, d, size, seed):
    rng = np.random.default_rng(seed)
    x, v = rng.standard_normal((n, d)), size * rng.standard_normal(d)
    assert domain_gap.frechet(x, x + v) == pytest.approx(v @ v, rel=1e-6, abs=1e-9)
    spread = np.cov(x, rowvar=False, bias=True).reshape(d, d).trace()
    c = x - x.mean(axis=0)
    assert domain_gap.frechet(c, size * c) == pytest.approx((1 - size) ** 2 * spread, rel=1e-6, abs=1e-9)
    assert domain_gap.frechet(x, x) == pytest.approx(0, abs=1e-9)


def test_raw_frechet_is_biased_and_the_split_half_says_so(rng):
    x, y = rng.standard_normal((2, 100, 384))
    assert domain_gap.frechet(x, y) == pytest.approx(449, rel=0.03)
    gap = domain_gap.measure(rng.standard_normal((800, 100)), rng.standard_normal((400, 100)))
    assert gap.frechet == pytest.approx(gap.frechet_split_half, rel=0.25)
    moved = domain_gap.measure(rng.standard_normal((800, 100)), rng.standard_normal((400, 100)) + 1)
    assert moved.frechet > 5 * moved.frechet_split_half and moved.p_value < 0.01


def test_same_seed_same_numbers_and_few_rows_are_refused(rng):
    a, b = rng.standard_normal((50, 5)), rng.standard_normal((20, 5))
    assert domain_gap.measure(a, b, seed=2) == domain_gap.measure(a, b, seed=2)
    for other in (b[:3], rng.standard_normal((20, 4))):
        with pytest.raises(DataError):
            domain_gap.measure(a, other)
