"""The permutation null of similarities: uniform p-values on unrelated features, known limits, blocks taken together."""

from __future__ import annotations

import numpy as np
import pytest

from core.shift import cka, neighbours, permutation

DATASETS, BLOCKS, ROWS, K = 1000, 3, 40, 5


def near(x: np.ndarray, k: int = 10) -> np.ndarray:
    return neighbours.nearest(x, k=k).astype(np.int64)


def unrelated(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Blocks of two models that know nothing of each other, neither of them round nor Gaussian."""
    rng = np.random.default_rng(seed)
    scales = np.linspace(0.2, 3, 8)
    return ([rng.normal(size=(ROWS, 8)) * scales for _ in range(BLOCKS)],
            [rng.normal(size=(ROWS, 8)) ** 3 for _ in range(BLOCKS)])


def test_p_values_of_unrelated_features_are_uniform_over_all_blocks_together() -> None:
    """The smallest over the blocks: 5 % of data sets below 0.05, half of them below 0.5."""
    by_cka, by_neighbours = [], []
    for seed in range(DATASETS):
        base, tuned = unrelated(seed)
        by_cka.append(min(null.p_value for null in permutation.of_cka(base, tuned, permutations=39, seed=seed)))
        by_neighbours.append(min(null.p_value for null in permutation.of_neighbours(
            [near(x, K) for x in base], [near(x, K) for x in tuned], permutations=39, seed=seed)))
    for found in (by_cka, by_neighbours):
        assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.02)  # three standard errors of a thousand
        assert np.mean(np.array(found) <= 0.5) == pytest.approx(0.5, abs=0.05)


def test_what_is_compared_is_the_similarity_of_the_page() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 12)), rng.normal(size=(60, 20))
    orders = [np.arange(60), rng.permutation(60)]
    assert permutation._cka(x, y, orders) == pytest.approx([cka.linear(x, y), cka.linear(x, y[orders[1]])], abs=1e-5)
    shuffled, after = y[orders[1]], near(y)[orders[1]]
    assert permutation._kept(near(x), near(y)[orders[0]], orders[0]) == pytest.approx(neighbours.overlap(x, y))
    assert permutation._kept(near(x), after, orders[1]) == pytest.approx(neighbours.overlap(x, shuffled), abs=1e-9)


def test_a_related_block_stands_out_and_the_limit_over_blocks_is_no_lower() -> None:
    rng = np.random.default_rng(1)
    base = [rng.normal(size=(200, 16)) for _ in range(4)]
    tuned = [base[0] + 0.5 * rng.normal(size=(200, 16)), *(rng.normal(size=(200, 16)) for _ in range(3))]
    for found in (permutation.of_cka(base, tuned), permutation.of_neighbours([near(x) for x in base],
                                                                             [near(x) for x in tuned])):
        assert found[0].p_value == 1 / 200 and min(null.p_value for null in found[1:]) > 0.02
        assert all(null.limit <= null.limit_any == found[0].limit_any for null in found)
    chance = neighbours.chance(200)
    assert chance < permutation.of_neighbours([near(base[1])], [near(tuned[1])])[0].limit < 1.5 * chance


def test_the_same_seed_gives_the_same_null_and_what_cannot_be_compared_has_none() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 4)), np.ones((30, 4))
    assert permutation.of_cka([x, x], [x, y], seed=3) == permutation.of_cka([x, x], [x, y], seed=3)
    assert permutation.of_cka([x, x], [x, y])[1] is None and permutation.of_cka([x], [y]) == [None]
    assert permutation.of_cka([x[:3]], [x[:3]]) == [None] and permutation.of_cka([], []) == []
