"""Invariants of splits and label budgets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data import splits
from core.errors import DataError

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=200)
SEED = st.integers(0, 2**31)
BBC = np.repeat(np.arange(5), [510, 386, 417, 511, 401])


def test_bbc_sizes_are_exact_and_stratified() -> None:
    split = splits.stratified(BBC, sizes=(1600, 200, 425), seed=0)
    assert Counter(split.tolist()) == {"train": 1600, "validation": 200, "test": 425}
    for name, size in (("train", 1600), ("validation", 200), ("test", 425)):
        shares = np.bincount(BBC[split == name], minlength=5) / size
        assert np.abs(shares - np.bincount(BBC) / 2225).max() < 1.5 / size


@given(LABELS, SEED)
def test_every_row_has_one_split_and_every_class_of_three_is_everywhere(labels: list[int], seed: int) -> None:
    split = splits.stratified(labels, seed=seed)
    assert len(split) == len(labels)
    assert set(split) <= set(splits.NAMES)
    for label, count in Counter(labels).items():
        present = {name for name, other in zip(split, labels, strict=True) if other == label}
        if count >= 3:
            assert present == set(splits.NAMES)
        assert "train" in present


@given(LABELS, SEED)
def test_same_seed_same_split(labels: list[int], seed: int) -> None:
    assert splits.stratified(labels, seed=seed).tolist() == splits.stratified(labels, seed=seed).tolist()


def test_another_seed_gives_another_split() -> None:
    assert splits.stratified(BBC, seed=0).tolist() != splits.stratified(BBC, seed=1).tolist()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, max_size=200), SEED)
def test_a_group_never_straddles(rows: list[tuple[int, int]], seed: int) -> None:
    labels, groups = [r[0] for r in rows], [r[1] for r in rows]
    split = splits.stratified(labels, seed=seed, groups=groups)
    assert len(split) == len(rows)
    assert set(split) <= set(splits.NAMES)
    for group in set(groups):
        assert len({name for name, g in zip(split, groups, strict=True) if g == group}) == 1


def test_sizes_stay_exact_with_some_groups() -> None:
    groups = np.arange(len(BBC))
    groups[100:140] = np.repeat(np.arange(100, 120), 2)
    groups[900:906] = 900
    split = splits.stratified(BBC, sizes=(1600, 200, 425), seed=3, groups=groups)
    assert Counter(split.tolist()) == {"train": 1600, "validation": 200, "test": 425}
    assert len(set(split[900:906])) == 1
    for name in splits.NAMES:
        shares = np.bincount(BBC[split == name], minlength=5) / (split == name).sum()
        assert np.abs(shares - np.bincount(BBC) / 2225).max() < 0.02


def test_shares_are_respected_on_many_equal_groups() -> None:
    labels = np.tile(np.arange(4), 300)
    split = splits.stratified(labels, seed=0, groups=np.arange(1200) // 4)
    counts = Counter(split.tolist())
    assert abs(counts["train"] - 840) <= 8
    assert abs(counts["validation"] - 120) <= 8
    assert abs(counts["test"] - 240) <= 8


@given(LABELS, st.integers(0, 250), st.integers(0, 250), SEED)
def test_budgets_nest_and_miss_no_class(labels: list[int], a: int, b: int, seed: int) -> None:
    low, high = sorted((max(1, a), max(1, b)))
    small = set(splits.label_budget(labels, low, seed=seed).tolist())
    large = set(splits.label_budget(labels, high, seed=seed).tolist())
    assert small <= large
    assert len(small) == min(low, len(labels))
    if low >= len(set(labels)):
        assert {labels[i] for i in small} == set(labels)


@pytest.mark.parametrize("budget", [32, 128, 500])
def test_budgets_are_stratified(budget: int) -> None:
    chosen = splits.label_budget(BBC, budget, seed=0)
    ideal = np.bincount(BBC) / len(BBC) * budget
    assert np.abs(np.bincount(BBC[chosen], minlength=5) - ideal).max() <= 1


def test_all_rows_without_a_budget() -> None:
    assert splits.label_budget([0, 1, 0], None).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="budget of 0"):
        splits.label_budget([0, 1], 0)


def test_sizes_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(DataError, match="do not fit 3 rows"):
        splits.stratified([0, 1, 1], sizes=(1, 1, 2))
    with pytest.raises(DataError, match="not three shares"):
        splits.stratified([0, 1, 1], fractions=(0.5, 0.2, 0.2))


def test_a_given_column_is_kept_and_completed() -> None:
    values = ["Train"] * 100 + ["TEST "] * 20
    labels = [i % 2 for i in range(120)]
    split = splits.from_column(values, labels, seed=0)
    assert split[100:].tolist() == ["test"] * 20
    assert Counter(split[:100].tolist()) == {"train": 90, "validation": 10}
    with pytest.raises(DataError, match="'banana'"):
        splits.from_column(["train", "banana"], [0, 1])
    with pytest.raises(DataError, match="no row for training"):
        splits.from_column(["test", "dev"], [0, 1])


@settings(max_examples=30)
@given(st.lists(st.floats(0, 50), min_size=1, max_size=20))
def test_largest_remainder_sums_and_stays_close(values: list[float]) -> None:
    quotas = np.asarray(values)
    total = round(float(quotas.sum()))
    scaled = quotas * (total / quotas.sum()) if quotas.sum() > 0 else quotas
    got = splits.largest_remainder(scaled, total)
    assert got.sum() == total
    assert np.abs(got - scaled).max() < 1 + 1e-6
