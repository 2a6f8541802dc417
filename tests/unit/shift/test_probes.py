"""Probes: separable and hopeless labels, equal folds, agreement with a converged scikit-learn probe."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.shift import probes


def test_separable_labels_are_read_and_random_ones_are_not(rng, block):
    x, _, labels = block(n=600, apart=2)
    found = probes.measure(x, labels)
    assert found.score > 0.99 and found.majority == 0.25
    assert probes.shuffled(x, labels) == pytest.approx(0.25, abs=0.1)
    assert probes.measure(rng.standard_normal((600, 20)), labels).score == pytest.approx(0.25, abs=0.07)


def test_close_to_a_converged_probe_on_the_same_folds(block):
    x, _, labels = block(n=600, d=40, apart=0.12)
    labels = np.where(np.random.default_rng(2).random(600) < 0.3, np.random.default_rng(3).integers(0, 4, 600), labels)
    folds = probes.stratified(labels, folds=3, seed=0)
    guesses = np.empty(600, int)
    for fold in range(3):
        test = folds == fold
        model = make_pipeline(StandardScaler(), LogisticRegression(C=10 / 40, tol=1e-8, max_iter=5000))
        guesses[test] = model.fit(x[~test], labels[~test]).predict(x[test])
    found = probes.measure(x, labels)
    assert 0.4 < found.score < 0.95
    assert np.mean(found.predictions == guesses) > 0.99


def test_blind_to_scale_and_shift_of_columns(rng, block):
    x, _, labels = block(apart=0.2)
    other = x * rng.uniform(0.1, 10, x.shape[1]) + rng.uniform(-3, 3, x.shape[1])
    assert np.mean(probes.measure(x, labels).predictions == probes.measure(other, labels).predictions) > 0.98


def test_folds_are_even_in_size_and_classes():
    labels = np.random.default_rng(0).choice(4, 301, p=[0.5, 0.3, 0.15, 0.05])
    parts = probes.stratified(labels, folds=3, seed=1)
    table = np.array([[np.sum((parts == f) & (labels == c)) for c in range(4)] for f in range(3)])
    assert (np.ptp(table, axis=0) <= 1).all() and np.ptp(table.sum(axis=1)) <= 1


def test_lonely_classes_and_dead_columns_do_not_break(rng):
    x = np.column_stack([rng.standard_normal((9, 2)), np.full(9, 7.0)])
    found = probes.measure(x, np.array([0, 0, 0, 0, 1, 1, 1, 1, 2]))
    assert len(found.predictions) == 9 and 0 <= found.score <= 1
    assert probes.fit_predict(x.astype(np.float32), np.zeros(9, np.int64), x.astype(np.float32)).tolist() == [0] * 9


def test_large_samples_are_cut_with_a_seed(rng, monkeypatch):
    monkeypatch.setattr(probes, "MAX_ROWS", 100)
    x = rng.standard_normal((300, 4))
    one, two = probes.measure(x, x[:, 0] > 0, seed=3), probes.measure(x, x[:, 0] > 0, seed=3)
    assert len(one.rows) == 100 and one.score > 0.9
    np.testing.assert_array_equal(one.predictions, two.predictions)
