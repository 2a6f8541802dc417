"""Numbers on screen: known answers and invariants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plots import numbers


@pytest.mark.parametrize(("value", "low", "high", "text"), [
    (0.9647, 0.948, 0.981, "0.96 (0.95–0.98)"),
    (0.9647, 0.9601, 0.9688, "0.965 (0.960–0.969)"),
    (0.5, 0.1, 0.9, "0.50 (0.10–0.90)"),
    (1.0, 1.0, 1.0, "1.000 (1.000–1.000)"),
    (-0.021, -0.052, -0.011, "−0.02 (−0.05 to −0.01)"),
    (-0.001, -0.04, 0.04, "0.00 (−0.04 to 0.04)"),
])
def test_a_measured_value_shows_the_digits_its_interval_supports(value, low, high, text):
    assert numbers.measured(value, low, high) == text


@pytest.mark.parametrize(("value", "text"),
                         [(384, "384"), (1925, "1.93 K"), (22_713_216, "22.7 M"), (134_515_008, "135 M"), (0, "0")])
def test_counts(value, text):
    assert numbers.count(value) == text


@pytest.mark.parametrize(("value", "text"), [(83_506_384, "84 MB"), (1_950_000_000, "1.95 GB"), (512, "512 B")])
def test_sizes(value, text):
    assert numbers.size(value) == text


@pytest.mark.parametrize(("part", "whole", "text"),
                         [(1, 100_000, "under 0.01 %"), (1, 250, "0.40 %"), (1, 1, "100 %"), (0, 5, "0 %"),
                          (3, 0, "0 %"), (7, 100, "7.0 %")])
def test_shares(part, whole, text):
    assert numbers.share(part, whole) == text


@pytest.mark.parametrize(("seconds", "text"), [
    (0.84, "0.8 s"), (9.97, "10 s"), (42, "42 s"), (185, "3 min 05 s"), (4320, "1 h 12 min"), (-1, "0 s"),
])
def test_durations(seconds, text):
    assert numbers.duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"),
                         [(3, "under 10 s"), (43, "45 s"), (58, "1 min"), (1312, "22 min"), (3590, "1 h"),
                          (7620, "2 h 10 min")])
def test_estimated_times_claim_no_precision(seconds, text):
    assert numbers.roughly(seconds) == text


@given(st.floats(0, 1), st.floats(0, 1))
def test_decimals_stay_between_two_and_four(a, b):
    assert 2 <= numbers.decimals(min(a, b), max(a, b)) <= 4
