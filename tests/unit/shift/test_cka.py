"""CKA: the reference notebook's numbers, an independent estimator, invariances, its band and its map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.shift import breakit, cka, neighbours


def unbiased_hsic(k, gram):
    """Song et al. 2012, equation 5, on full Gram matrices: the independent implementation."""
    n = len(k)
    k, gram = k - np.diag(np.diag(k)), gram - np.diag(np.diag(gram))
    one = np.ones(n)
    return (np.trace(k @ gram) + (one @ k @ one) * (one @ gram @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2)
            * (one @ k @ gram @ one))


def by_hsic(x, y):
    kx, ky = x @ x.T, y @ y.T
    return unbiased_hsic(kx, ky) / np.sqrt(unbiased_hsic(kx, kx) * unbiased_hsic(ky, ky))


def test_reference_notebook():
    random = np.random.RandomState(1337)
    x = random.randn(100, 10)
    y = random.randn(100, 10) + x
    assert cka.linear(x, y, debiased=False) == pytest.approx(0.55761, abs=1e-5)
    assert cka.linear(x, y) == pytest.approx(0.51346, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(5, 60), st.integers(1, 80), st.integers(1, 80), st.integers(0, 99))
def test_equals_an_independent_estimator(n, dx, dy, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, dx)) + 3, rng.standard_normal((n, dy))
    y[:, 0] += x[:, 0]
    assert cka.linear(x, y) == pytest.approx(by_hsic(x, y), rel=1e-6, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(8, 80), st.integers(2, 40), st.floats(0.01, 50), st.floats(-5, 5), st.integers(0, 99))
def test_blind_to_rotation_scale_and_shift(n, d, scale, shift, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, d))
    y += x
    turned = y @ np.linalg.qr(rng.standard_normal((d, d)))[0] * scale + shift
    assert cka.linear(x, turned) == pytest.approx(cka.linear(x, y), rel=1e-6, abs=1e-8)
    assert cka.linear(y, x) == pytest.approx(cka.linear(x, y))
    assert cka.linear(y, turned) == pytest.approx(1)


def test_identical_is_exactly_one(rng):
    x = rng.standard_normal((50, 70)).astype(np.float16)
    band = cka.band(x, x.copy())
    assert cka.linear(x, x.copy()) == band.value == band.low == band.high == 1.0


@pytest.mark.parametrize("k", [1, 5, 20])
def test_first_columns_of_whitened_features(rng, k):
    x = rng.standard_normal((400, 20))
    x = np.linalg.qr(x - x.mean(axis=0))[0]
    assert cka.linear(x, x[:, :k], debiased=False) == pytest.approx(np.sqrt(k / 20))


@pytest.mark.parametrize(("n", "d"), [(64, 768), (256, 256), (1000, 384)])
def test_independent_features(n, d):
    pairs = [np.random.default_rng(s).standard_normal((2, n, d)) for s in range(5)]
    assert np.mean([cka.linear(x, y, debiased=False) for x, y in pairs]) == pytest.approx(d / (d + n), abs=0.01)
    assert abs(np.mean([cka.linear(x, y) for x, y in pairs])) < 0.03


def test_shuffled_rows_are_unrelated(block):
    x, y, _ = block(n=1000, classes=1, apart=0)
    assert cka.linear(x, y) > 0.9
    assert abs(cka.linear(x, breakit.shuffle(x, y).tuned)) < 0.02


def test_fooled_by_one_far_row_and_by_a_rogue_dimension(block):
    x, y, _ = block(n=1000, d=64, classes=1, apart=0, noise=0.5)
    far, rogue = breakit.outlier(x, y), breakit.rogue(x, y)
    assert 0.6 < cka.linear(x, y) < 0.95 and cka.linear(far.base, far.tuned) < 0.05
    assert neighbours.overlap(far.base, far.tuned) == pytest.approx(neighbours.overlap(x, y), abs=0.01)
    assert cka.linear(rogue.base, rogue.tuned) > 0.98 and neighbours.overlap(rogue.base, rogue.tuned) < 0.6


def test_band_covers_the_population_value(rng):
    x = rng.standard_normal((20_000, 20)) * np.linspace(3, 0.3, 20)
    y = x @ rng.standard_normal((20, 20)) * 0.3 + rng.standard_normal((20_000, 20))
    truth, hits = cka.linear(x, y), 0
    for seed in range(100):
        rows = rng.choice(20_000, 300, replace=False)
        band = cka.band(x[rows], y[rows], seed=seed)
        assert band.value == pytest.approx(cka.linear(x[rows], y[rows]))
        hits += band.low <= truth <= band.high
    assert 88 <= hits <= 100


@pytest.mark.parametrize(("n", "d"), [(200, 30), (60, 90)])
def test_band_by_downdating_equals_the_subsets_themselves(rng, n, d):
    x = rng.standard_normal((n, d)) + 2
    y = x + rng.standard_normal((n, d))
    draw = np.random.default_rng(4)
    out = [np.sort(draw.permutation(n)[: n - round(0.8 * n)]) for _ in range(20)]
    values = [by_hsic(*(np.delete(t, rows, axis=0) for t in (x, y))) for rows in out]
    band = cka.band(x, y, seed=4)
    assert band.value - band.low == pytest.approx(1.96 * 2 * np.std(values, ddof=1), rel=1e-6)
    assert cka.band(x, y, seed=4) == band


def test_independent_data_stay_at_zero_in_the_band(rng):
    band = cka.band(rng.standard_normal((200, 300)), rng.standard_normal((200, 300)))
    assert band.low < 0 < band.high < 0.05


@pytest.mark.parametrize(("n", "widths"), [(40, (60, 8, 200)), (300, (4, 6, 5)), (900, (100, 60, 80))])
def test_map_equals_cell_by_cell(rng, n, widths):
    xs = [rng.standard_normal((n, d)) * 100 + 5 for d in widths]
    ys = [x[:, : x.shape[1] // 2] + rng.standard_normal((n, x.shape[1] // 2)) * 50 for x in xs]
    expected = [[cka.linear(x, y) for y in ys] for x in xs]
    np.testing.assert_allclose(cka.block_map(xs, ys), expected, atol=1e-4)
    np.testing.assert_allclose(cka.block_map(xs, xs), [[cka.linear(a, b) for b in xs] for a in xs], atol=1e-4)


def test_map_of_identical_blocks_is_exactly_one_and_a_dead_block_is_empty(rng):
    xs = [rng.standard_normal((50, 8)), np.ones((50, 8)), rng.standard_normal((50, 8))]
    got = cka.block_map(xs, [xs[0].copy(), xs[1], xs[2] + 1e-3 * rng.standard_normal((50, 8))])
    assert got[0, 0] == 1.0 and got[2, 2] != 1.0
    assert np.isnan(got[1]).all() and np.isnan(got[:, 1]).all()


def test_no_spread_is_not_a_number_and_other_rows_are_refused(rng):
    assert np.isnan(cka.linear(rng.random((10, 3)), np.zeros((10, 3))))
    with pytest.raises(DataError):
        cka.linear(rng.random((10, 3)), rng.random((9, 3)))
