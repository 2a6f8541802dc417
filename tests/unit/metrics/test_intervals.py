"""Bootstrap intervals: coverage, agreement with resampling rows, speed, memory, degenerate tables."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.errors import DataError
from core.metrics import Judged, intervals, measure, values


def made(n, n_classes, error, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    return labels, np.where(rng.random(n) < error, rng.integers(0, n_classes, n), labels)


def measured(labels, predictions, **options):
    return measure(Judged(labels=labels, predictions=predictions), **options)


def scored(labels, predictions):
    return values(Judged(labels=labels, predictions=predictions))


def test_equals_resampling_the_rows_themselves():
    labels, predictions = made(300, 4, 0.3)
    rng = np.random.default_rng(5)
    rows = [rng.integers(0, 300, 300) for _ in range(4000)]
    resampled = [scored(labels[r], predictions[r]) for r in rows]
    for name in ("accuracy", "macro_f1"):
        low, high = np.percentile([found[name] for found in resampled], [2.5, 97.5])
        got = measured(labels, predictions, samples=4000)[name]
        assert (got.low, got.high) == pytest.approx((low, high), abs=0.007)


def test_where_a_row_lies_changes_no_interval_of_labels_and_predictions():
    """They are resampled as a table of pairs, whatever other metrics are measured beside them."""
    labels, predictions = made(200, 4, 0.3)
    order = np.random.default_rng(1).permutation(200)
    sure = np.full((200, 4), 0.25)
    first = measure(Judged(labels=labels, predictions=predictions, probabilities=sure))
    turned = measured(labels[order], predictions[order])
    assert turned == {name: first[name] for name in ("accuracy", "macro_f1")}


@pytest.mark.parametrize(("width", "sizes"), [(1000, [2000]), (1500, [1333, 667]), (3_000_000, [1] * 2000)])
def test_resamples_are_made_in_parts_of_two_million_numbers(width, sizes):
    assert list(intervals.chunks(2000, width)) == sizes


def test_accuracy_interval_matches_the_binomial_distribution():
    labels = np.zeros(1000, int)
    predictions = np.repeat([0, 1], [900, 100])
    got = measured(labels, predictions, samples=20_000)["accuracy"]
    assert got.value == 0.9
    assert (got.low, got.high) == pytest.approx(stats.binom.ppf([0.025, 0.975], 1000, 0.9) / 1000, abs=0.0011)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40),
       st.integers(0, 9))
def test_interval_holds_the_value_and_repeats(n_classes, rows, seed):
    labels, predictions = np.minimum(np.array(rows).T, n_classes - 1)
    first = measured(labels, predictions, seed=seed, samples=200)
    assert first == measured(labels, predictions, seed=seed, samples=200)
    assert first["accuracy"].value == pytest.approx(scored(labels, predictions)["accuracy"])
    assert first["macro_f1"].value == pytest.approx(scored(labels, predictions)["macro_f1"])
    for got in first.values():
        assert 0 <= got.low <= got.value <= got.high <= 1


def test_no_error_seen_is_not_certainty():
    got = measured([0, 1] * 10, [0, 1] * 10)
    assert got["accuracy"].value == got["macro_f1"].value == got["accuracy"].high == 1
    assert got["accuracy"].low == got["macro_f1"].low == pytest.approx(0.025 ** (1 / 20))
    assert measured([0] * 20, [1] * 20)["accuracy"].high == pytest.approx(1 - 0.025 ** (1 / 20))


@pytest.mark.parametrize("n_classes", [5, 77, 1000])
def test_small_at_5000_rows(n_classes):
    labels, predictions = made(5000, n_classes, 0.1)
    tracemalloc.start()
    measured(labels, predictions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


@pytest.mark.parametrize(("right", "n"), [(0, 7), (7, 7), (1, 7), (400, 425), (3, 2000)])
def test_share_equals_the_bootstrap_of_accuracy(right, n):
    predictions = np.repeat([0, 1], [right, n - right])
    got, drawn = intervals.share(right, n), measured(np.zeros(n, int), predictions, samples=40_000)["accuracy"]
    assert (got.value, got.low, got.high) == pytest.approx((drawn.value, drawn.low, drawn.high), abs=1.01 / n)
    assert got.low <= got.value <= got.high


def test_a_share_of_no_rows_is_refused():
    with pytest.raises(DataError):
        intervals.share(0, 0)
