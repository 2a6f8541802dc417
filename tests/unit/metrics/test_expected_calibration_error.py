"""Expected calibration error: cases computed by hand, the paper's formula, its ends, and what a set of rows must not
change."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics import REGISTRY, Judged, Unit, measure, values
from core.metrics.paired import RightOrWrong, by_metric

NAME = "expected_calibration_error"
METRIC = REGISTRY[NAME]


def binary(rows: list[tuple[float, bool]]) -> Judged:
    """Rows of two classes, each given as the confidence (from 0.5) in its prediction, class 1, and whether that is
    right."""
    confidence = np.array([row[0] for row in rows])
    right = np.array([row[1] for row in rows])
    return Judged(labels=right.astype(int), predictions=np.ones(len(rows), int),
                  probabilities=np.stack([1 - confidence, confidence], 1))


def paper(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Guo et al. (2017), equations 1 to 3, bin by bin: sum over m of |B_m| / n · |acc(B_m) − conf(B_m)|."""
    guesses, confidence = probabilities.argmax(1), probabilities.max(1)
    total, edges = 0.0, np.linspace(0, 1, bins + 1)
    for low, high in itertools.pairwise(edges):
        members = (confidence > low) & (confidence <= high)
        if members.any():
            accuracy, mean = (guesses == labels)[members].mean(), confidence[members].mean()
            total += members.sum() / len(labels) * abs(accuracy - mean)
    return total


def test_by_hand() -> None:
    """(0.6, 0.667]: 2 rows, 1 right, sure 0.63: 0.13. (0.867, 0.933]: 3 rows, 2 right, sure 0.9: 0.2333. (0.933, 1]:
    0.98, right: 0.02."""
    rows = [(0.62, True), (0.64, False), (0.9, True), (0.9, False), (0.9, True), (0.98, True)]
    assert values(binary(rows))[NAME] == pytest.approx((2 * 0.13 + 3 * (0.9 - 2 / 3) + 1 * 0.02) / 6)


def test_a_bin_holds_its_upper_edge_and_errors_cancel_within_a_bin_only() -> None:
    assert values(binary([(0.8, True), (0.8, True), (0.8, True), (0.8, True), (0.8, False)]))[NAME] == pytest.approx(0)
    same = [(0.59, True), (0.6, False)]      # both in (8/15, 9/15]
    apart = [(0.6, True), (0.601, False)]    # on either side of 9/15
    assert values(binary(same))[NAME] == pytest.approx(abs(1 - 0.59 - 0.6) / 2)
    assert values(binary(apart))[NAME] == pytest.approx((0.4 + 0.601) / 2)


@pytest.mark.parametrize(("rows", "value"), [
    ([(0.5, True), (0.5, False)] * 10, 0.0), ([(1.0, True)] * 20, 0.0), ([(1.0, False)] * 20, 1.0),
    ([(0.75, True)], 0.25),
])
def test_ends(rows: list[tuple[float, bool]], value: float) -> None:
    assert values(binary(rows))[NAME] == value


tables = st.tuples(st.integers(1, 60), st.integers(2, 6), st.integers(0, 10_000), st.floats(0.1, 20))


def drawn(case: tuple[int, int, int, float]) -> Judged:
    n_rows, n_classes, seed, sharpness = case
    rng = np.random.default_rng(seed)
    powers = np.exp(sharpness * rng.standard_normal((n_rows, n_classes)))
    probabilities = powers / powers.sum(1, keepdims=True)
    return Judged(labels=rng.integers(0, n_classes, n_rows), predictions=probabilities.argmax(1),
                  probabilities=probabilities)


@settings(deadline=None, max_examples=100)
@given(tables)
def test_as_in_the_paper_within_its_range_in_any_order(case: tuple[int, int, int, float]) -> None:
    judged = drawn(case)
    value = values(judged)[NAME]
    assert value == pytest.approx(paper(judged.labels, judged.probabilities)) and 0 <= value <= 1
    order = np.random.default_rng(case[2]).permutation(judged.n_rows)
    turned = Judged(labels=judged.labels[order], predictions=judged.predictions[order],
                    probabilities=judged.probabilities[order])
    assert values(turned)[NAME] == pytest.approx(value)


def test_its_interval_is_that_of_resampled_rows() -> None:
    judged = drawn((300, 3, 1, 1.0))
    rng = np.random.default_rng(5)
    rows = [rng.integers(0, 300, 300) for _ in range(2000)]
    low, high = np.percentile([paper(judged.labels[r], judged.probabilities[r]) for r in rows], [2.5, 97.5])
    found = measure(judged)[NAME]
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_it_belongs_to_a_set_of_rows_and_lower_is_better() -> None:
    honest, boastful = binary([(0.8, i % 5 > 0) for i in range(200)]), binary([(0.99, i % 5 > 0) for i in range(200)])
    assert METRIC.row_values(honest) is None and not METRIC.higher_is_better and METRIC.unit is Unit.SHARE
    found = by_metric(METRIC, boastful, honest, name_a="full", name_b="probe")
    assert not isinstance(found, RightOrWrong)
    assert found.sentence.startswith("probe is better than full on these 200 rows: its expected calibration error is "
                                     "lower by 19.0 points")
