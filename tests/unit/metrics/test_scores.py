"""Scores against scikit-learn, and the errors of bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from core.errors import DataError
from core.metrics import Judged, scores, values

pairs = st.integers(1, 7).flatmap(lambda c: st.tuples(
    st.just(c), st.lists(st.tuples(st.integers(0, c - 1), st.integers(0, c - 1)), min_size=1, max_size=60)))


def scored(labels, predictions):
    return values(Judged(labels=labels, predictions=predictions))


@given(pairs)
def test_equal_to_scikit_learn(case):
    n_classes, rows = case
    labels, predictions = np.array(rows).T
    assert scored(labels, predictions)["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predictions))
    assert scored(labels, predictions)["macro_f1"] == pytest.approx(
        metrics.f1_score(labels, predictions, average="macro", zero_division=0))
    np.testing.assert_array_equal(scores.confusion(labels, predictions, n_classes),
                                  metrics.confusion_matrix(labels, predictions, labels=range(n_classes)))


def test_known_answer():
    labels, predictions = [0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 0]
    assert scored(labels, predictions)["accuracy"] == pytest.approx(4 / 6)
    assert scored(labels, predictions)["macro_f1"] == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)
    assert scores.confusion(labels, predictions, 3).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]


@given(pairs, st.randoms())
def test_order_of_rows_does_not_matter(case, random):
    _, rows = case
    shuffled = random.sample(rows, len(rows))
    assert scored(*np.array(rows).T) == scored(*np.array(shuffled).T)


@pytest.mark.parametrize(("labels", "predictions"),
                         [([], []), ([0, 1], [0]), ([0, 3], [0, 0]), ([0, 1], [0, -1]), ([0.5], [0.5])])
def test_bad_input_is_refused_with_words(labels, predictions):
    with pytest.raises(DataError) as caught:
        Judged(labels=labels, predictions=predictions, probabilities=np.ones((len(labels), 3)))
    assert caught.value.what and caught.value.why and caught.value.remedy
