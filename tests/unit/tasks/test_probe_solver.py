"""The solved probe is scikit-learn's optimum, folded back into a plain linear head."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.errors import DataError
from core.tasks import probe_solver as probe


def blobs(n_rows: int, n_classes: int, seed: int = 0, n_dims: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % n_classes
    centres = np.random.default_rng(99).normal(size=(n_classes, n_dims))
    return (rng.normal(size=(n_rows, n_dims)) + centres[labels]) * rng.uniform(17, 30, n_dims) + 5, labels


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


def test_without_validation_rows_the_strength_is_cross_validated() -> None:
    """The peer: scikit-learn's own search over the same grid with other folds ends at the same strength or the next."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold

    rng = np.random.default_rng(0)
    for features, labels in ((rng.normal(size=(60, 200)), np.arange(60) % 2), blobs(60, 3), blobs(200, 4, n_dims=40)):
        standard = StandardScaler().fit_transform(features)
        peer = LogisticRegressionCV(Cs=list(probe.STRENGTHS), cv=StratifiedKFold(5, shuffle=True, random_state=0),
                                    max_iter=2000, scoring="neg_log_loss").fit(standard, labels)
        place = probe.STRENGTHS.index(float(np.atleast_1d(peer.C_)[0]))
        assert (abs(probe.STRENGTHS.index(probe.solve(features, labels, validation=None, n_classes=4).strength) - place)
                <= 1)


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(1, 4), min_size=2, max_size=5), seed=st.integers(0, 3))
def test_tiny_budgets_can_be_solved(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    features = np.random.default_rng(seed).normal(size=(len(labels), 6)) + 8 * np.eye(6)[labels]
    head = probe.solve(features, labels, validation=None, n_classes=len(counts), seed=seed)
    assert (head.logits(features).argmax(1) == labels).all()


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


def test_it_is_solved_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads take twenty times the processor time of one, on matrices of this size."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    threads: set[int] = set()
    real = LogisticRegression.fit

    def fit(self: object, *args: object, **kwargs: object) -> object:
        threads.update(pool["num_threads"] for pool in threadpool_info())
        return real(self, *args, **kwargs)

    monkeypatch.setattr(LogisticRegression, "fit", fit)
    features = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    labels = np.arange(40) % 2
    for validation in (None, (features[:10], labels[:10])):
        probe.solve(features, labels, validation=validation, n_classes=2)
    assert threads == {1}


def test_alike_dimensions_are_divided_as_scikit_learn_does() -> None:
    features = np.random.default_rng(0).normal(size=(200, 12)) * np.linspace(1, 1.9, 12) + 5
    np.testing.assert_allclose(probe.spreads(features), StandardScaler().fit(features).scale_, rtol=1e-12)


def test_what_hardly_varies_is_divided_by_half_of_the_upper_quartile() -> None:
    features = np.random.default_rng(0).normal(size=(4000, 9)) * np.array([1e-3, 0.1, 1, 1, 1, 1, 1, 1, 50])
    wide = features.std(0)
    found = probe.spreads(np.column_stack([features, np.full(4000, 7.0)]))
    least = probe.LEAST_SPREAD * np.quantile(wide, 0.75)  # the constant one does not count
    np.testing.assert_allclose(found, [least, least, *wide[2:], least], rtol=1e-9)
    assert least == pytest.approx(0.5, rel=0.03)  # one dimension that varies much does not raise it


def test_nothing_that_varies_is_divided_by_one() -> None:
    assert probe.spreads(np.full((5, 3), 2.0, np.float32)).tolist() == [1, 1, 1]
    rounded = np.full((36, 3), 0.2, np.float32)
    rounded[0] = np.nextafter(rounded[0], 1)  # what 32 bits round, as of a network whose units are all dead
    assert probe.spreads(rounded).tolist() == [1, 1, 1]


@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 20))
def test_units_do_not_count(scale: float, seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(30, 6)) * np.array([1e-4, 0.1, 1, 1, 2, 30])
    np.testing.assert_allclose(probe.spreads(features * scale), scale * probe.spreads(features), rtol=1e-6)


def test_a_unit_that_fires_in_one_row_does_not_decide_for_others() -> None:
    """Of ReLU features, 100 units of which hardly ever fire: a new row in which some do keeps its class."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    busy = np.maximum(0, rng.normal(size=(120, 40)) + 2 * np.eye(3)[labels] @ rng.normal(size=(3, 40)))
    rare = np.zeros((120, 100))
    rare[np.arange(100), np.arange(100)] = 1e-3
    new = np.hstack([busy, rng.uniform(0, 0.1, (120, 100))])  # in new rows they fire a little: a tenth of a usual unit
    head = probe.solve(np.hstack([busy, rare]), labels, validation=None, n_classes=3)
    assert (head.logits(new).argmax(1) == labels).mean() > 0.95
    scaler = StandardScaler().fit(np.hstack([busy, rare]))
    plain = LogisticRegression(C=head.strength).fit(scaler.transform(np.hstack([busy, rare])), labels)
    assert plain.score(scaler.transform(new), labels) < 0.6  # what dividing by the deviation alone made of them
