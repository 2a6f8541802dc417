"""The solved probe is scikit-learn's optimum, folded back into a plain linear head."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.errors import DataError
from core.training import probe


def blobs(n_rows: int, n_classes: int, seed: int = 0, n_dims: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % n_classes
    centres = np.random.default_rng(99).normal(size=(n_classes, n_dims))
    return (rng.normal(size=(n_rows, n_dims)) + centres[labels]) * rng.uniform(0.1, 30, n_dims) + 5, labels


@pytest.mark.parametrize("n_classes", [2, 4])
def test_equals_scikit_learn_on_standardised_features(n_classes: int) -> None:
    features, labels = blobs(200, n_classes)
    head = probe.solve(features, labels, validation=blobs(100, n_classes, seed=1), n_classes=n_classes)
    scaler = StandardScaler().fit(features)
    peer = LogisticRegression(C=head.strength, max_iter=2000, tol=1e-8).fit(scaler.transform(features), labels)
    logits = head.logits(features)
    mine = np.exp(logits - logits.max(1, keepdims=True))
    mine /= mine.sum(1, keepdims=True)
    assert np.abs(mine - peer.predict_proba(scaler.transform(features))).max() < 5e-3


def test_strength_is_chosen_on_validation() -> None:
    rng = np.random.default_rng(0)
    noise, labels = rng.normal(size=(40, 200)), np.arange(40) % 2
    head = probe.solve(noise, labels, validation=(rng.normal(size=(200, 200)), np.arange(200) % 2), n_classes=2)
    assert head.strength == probe.STRENGTHS[0]  # nothing to learn: the strongest regularisation wins


def test_a_class_without_rows_never_wins_and_one_class_is_refused() -> None:
    features, labels = blobs(60, 3)
    present = labels != 1
    head = probe.solve(features[present], labels[present], validation=(features, labels), n_classes=3)
    assert 1 not in head.logits(features).argmax(1)
    with pytest.raises(DataError, match="only one class"):
        probe.solve(features, np.zeros(60, int), validation=None, n_classes=3)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100), seed=st.integers(0, 5))
def test_predictions_do_not_depend_on_units(scale: float, shift: float, seed: int) -> None:
    features, labels = blobs(60, 3, seed)
    plain = probe.solve(features, labels, validation=None, n_classes=3, seed=seed).logits(features).argmax(1)
    moved = probe.solve(features * scale + shift, labels, validation=None, n_classes=3, seed=seed)
    assert (moved.logits((features * scale + shift).astype(np.float64)).argmax(1) == plain).mean() > 0.97


def test_a_constant_dimension_does_no_harm() -> None:
    features, labels = blobs(60, 3)
    features[:, 0] = 7.0
    head = probe.solve(features, labels, validation=None, n_classes=3)
    assert np.isfinite(head.logits(features)).all()
