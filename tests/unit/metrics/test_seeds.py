"""Seeds pooled into one measurement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from core.errors import DataError
from core.metrics import METRICS, Judged, arms, measure


def noisy(labels: np.ndarray, n_seeds: int, wrong: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([np.where(rng.random(len(labels)) < wrong, (labels + 1) % 3, labels) for _ in range(n_seeds)])


LABELS = np.arange(300) % 3


def pooled(labels, predictions):
    judged = [Judged(labels=labels, predictions=guess) for guess in predictions]
    return {metric.name: arms.mean(metric, judged)
            for metric in METRICS if not judged or all(metric.applies_to(each) for each in judged)}


def test_the_value_is_the_mean_of_the_seeds_scores() -> None:
    guesses = noisy(LABELS, 3, 0.2)
    found = pooled(LABELS, guesses)
    assert found["accuracy"].value == pytest.approx(np.mean([accuracy_score(LABELS, g) for g in guesses]))
    assert found["macro_f1"].value == pytest.approx(np.mean([f1_score(LABELS, g, average="macro") for g in guesses]))


def test_seeds_with_independent_errors_narrow_the_interval() -> None:
    guesses = noisy(LABELS, 8, 0.3)
    one, eight = pooled(LABELS, guesses[:1])["accuracy"], pooled(LABELS, guesses)["accuracy"]
    assert eight.high - eight.low < 0.7 * (one.high - one.low)


def test_one_seed_is_the_bootstrap_over_rows() -> None:
    guesses = noisy(LABELS, 1, 0.25)
    ours = pooled(LABELS, guesses)["accuracy"]
    known = measure(Judged(labels=LABELS, predictions=guesses[0]))["accuracy"]
    assert (ours.low, ours.high) == (known.low, known.high)


def test_seeds_that_disagree_widen_it_beyond_the_rows() -> None:
    guesses = np.stack([LABELS, (LABELS + 1) % 3])  # one seed all right, one all wrong: rows alone would show no spread
    found = pooled(LABELS, guesses)["accuracy"]
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("wrong", [0, 1])
def test_seeds_that_are_all_right_or_all_wrong_are_no_certainty(wrong: int) -> None:
    labels = np.arange(40) % 2
    found = pooled(labels, np.stack([(labels + wrong) % 2] * 3))["accuracy"]
    known = measure(Judged(labels=labels, predictions=(labels + wrong) % 2))["accuracy"]
    assert (found.value, found.low, found.high) == pytest.approx((known.value, known.low, known.high))
    assert found.low < found.high


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(2, 40), st.floats(0, 1))
def test_the_interval_holds_the_value_and_stays_in_range(n_seeds: int, n_rows: int, wrong: float) -> None:
    labels = np.arange(n_rows) % 3
    for interval in pooled(labels, noisy(labels, n_seeds, wrong)).values():
        assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_no_predictions_are_refused() -> None:
    with pytest.raises(DataError, match="no predictions"):
        pooled([], np.zeros((0, 0)))
