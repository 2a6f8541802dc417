"""Neighbours: scikit-learn's on the same rows, chance, invariances, votes, cards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from core.errors import DataError
from core.shift import arrays, breakit, neighbours


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 80), st.integers(2, 30), st.integers(1, 25), st.integers(0, 99))
def test_equal_to_scikit_learn(n, d, k, seed):
    x = np.random.default_rng(seed).standard_normal((n, d)) + 0.5
    k = min(k, n - 1)
    found = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(x).kneighbors(return_distance=False)
    np.testing.assert_array_equal(neighbours.nearest(x, k=k), found)


def test_chunks_and_float32_find_the_same(rng, monkeypatch):
    x = rng.standard_normal((300, 20))
    whole = neighbours.nearest(x)
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 100_000)
    np.testing.assert_array_equal(neighbours.nearest(x), whole)
    monkeypatch.setattr(neighbours, "_EXACT_ROWS", 10)
    assert neighbours.kept(neighbours.nearest(x), whole, k=20).mean() > 0.999


@settings(deadline=None, max_examples=25)
@given(st.integers(15, 100), st.integers(2, 30), st.floats(0.01, 99), st.integers(0, 99))
def test_all_kept_after_rotation_and_scaling(n, d, scale, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    assert neighbours.overlap(x, x.copy()) == 1.0
    assert (neighbours.overlap(x, scale * x @ np.linalg.qr(rng.standard_normal((d, d)))[0])
            == pytest.approx(1.0, abs=1e-9))


def test_kept_against_sets_of_an_independent_search(rng):
    x, y = rng.standard_normal((120, 15)), rng.standard_normal((120, 15))
    y += x
    sets = [NearestNeighbors(n_neighbors=10, metric="cosine",
                             algorithm="brute").fit(t).kneighbors(return_distance=False) for t in (x, y)]
    expected = [len(set(a) & set(b)) / 10 for a, b in zip(*sets, strict=True)]
    np.testing.assert_allclose(neighbours.kept(neighbours.nearest(x), neighbours.nearest(y)), expected)
    assert neighbours.overlap(x, y) == neighbours.overlap(y, x) == pytest.approx(np.mean(expected))


def test_unrelated_features_keep_the_chance_share(rng):
    x, y = rng.standard_normal((2, 800, 30))
    assert neighbours.overlap(x, y) == pytest.approx(neighbours.chance(800), abs=0.003)
    assert neighbours.chance(800) == 10 / 799


def test_shuffled_rows_keep_chance_but_not_less_accuracy(block):
    x, y, labels = block(n=800)
    dealt = breakit.shuffle(x, y)
    assert neighbours.overlap(x, dealt.tuned) == pytest.approx(neighbours.chance(800), abs=0.01)
    moved = neighbours.knn_accuracy(neighbours.nearest(dealt.tuned), labels[dealt.order])
    assert moved == neighbours.knn_accuracy(neighbours.nearest(y), labels)


def test_accuracy_against_a_leave_one_out_classifier(block):
    x, _, labels = block(n=150, apart=0.3)
    votes = []
    for i in range(150):
        others = np.arange(150) != i
        votes.append(KNeighborsClassifier(n_neighbors=7, metric="cosine").fit(x[others],
                                                                              labels[others]).predict(x[i: i + 1])[0])
    got = neighbours.predictions(neighbours.nearest(x), labels, k=7)
    assert np.mean(got == votes) > 0.97  # ties are broken otherwise
    assert (neighbours.knn_accuracy(neighbours.nearest(x), labels, k=7)
            == pytest.approx(np.mean(np.array(votes) == labels), abs=0.02))


def test_ties_go_to_the_nearer_class():
    assert neighbours.predictions(np.array([[1, 2, 3, 4]]), [9, 1, 0, 1, 0], k=4).tolist() == [1]
    assert neighbours.predictions(np.array([[1, 2, 3, 4]]), [9, 0, 1, 0, 1], k=4).tolist() == [0]
    assert neighbours.predictions(np.array([[1, 2, 3]]), [9, 1, 0, 0], k=3).tolist() == [0]


def test_apart_and_mixed_classes(rng):
    labels = np.arange(200) % 2
    apart = rng.standard_normal((200, 10)) + 20 * np.eye(2, 10)[labels]
    assert neighbours.knn_accuracy(neighbours.nearest(apart), labels) == 1.0
    mixed = neighbours.knn_accuracy(neighbours.nearest(rng.standard_normal((200, 10))), labels)
    assert mixed < 0.62 and neighbours.majority([0, 0, 0, 1]) == 0.75


def test_card_marks_gained_and_lost():
    before, after = np.array([[1, 2, 3]]), np.array([[3, 4, 1]])
    card = neighbours.card(before, after, row=0, k=3)
    assert (card.before, card.after, card.lost, card.gained) == ((1, 2, 3), (3, 4, 1), (2,), (4,))


def test_one_row_is_refused_and_zero_rows_do_not_break():
    with pytest.raises(DataError):
        neighbours.nearest(np.ones((1, 3)))
    assert neighbours.nearest(np.zeros((4, 3)), k=2).shape == (4, 2)
