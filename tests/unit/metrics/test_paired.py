"""The paired test: exact McNemar known answers, symmetry, and sentences that claim no more than the numbers."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.metrics import Judged, paired, values


def made(both_right, only_a, only_b, both_wrong):
    """Labels all 0; predictions 0 = right, 1 = wrong."""
    a = np.repeat([0, 0, 1, 1], [both_right, only_a, only_b, both_wrong])
    b = np.repeat([0, 1, 0, 1], [both_right, only_a, only_b, both_wrong])
    return np.zeros(len(a), int), a, b


def accuracy(labels, predictions):
    return values(Judged(labels=labels, predictions=predictions))["accuracy"]


@pytest.mark.parametrize(("only_a", "only_b", "p"), [
    (0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (10, 2, 0.03857421875), (7, 7, 1.0),
    (86, 150, 2 * sum(comb(236, k) for k in range(87)) / 2**236),
])
def test_exact_p_values(only_a, only_b, p):
    got = paired.compare(*made(794, only_a, only_b, 570))
    assert got.p_value == pytest.approx(p, rel=1e-6)
    assert ((got.n, got.both_right, got.only_a, got.only_b, got.both_wrong)
            == (1364 + only_a + only_b, 794, only_a, only_b, 570))


counts = st.tuples(*[st.integers(0, 30)] * 4).filter(lambda c: sum(c) > 0)


@settings(deadline=None, max_examples=80)
@given(counts)
def test_swapping_the_runs_turns_the_sign(case):
    labels, a, b = made(*case)
    one, two = paired.compare(labels, a, b), paired.compare(labels, b, a)
    assert one.p_value == two.p_value
    assert one.difference.value == -two.difference.value == pytest.approx(accuracy(labels, a) - accuracy(labels, b))
    assert one.difference.low <= one.difference.value <= one.difference.high
    assert one.difference.low == pytest.approx(-two.difference.high, abs=2.5 / len(labels))


@settings(deadline=None, max_examples=80)
@given(counts)
def test_a_winner_is_named_only_when_interval_and_test_support_it(case):
    got = paired.compare(*made(*case), name_a="LoRA", name_b="probe")
    supported = got.p_value < 0.05 and (got.difference.low > 0 or got.difference.high < 0)
    assert ("is better than" in got.sentence) == supported
    if supported:
        assert got.sentence.startswith("LoRA" if got.only_a > got.only_b else "probe")


def test_sentences():
    assert paired.compare(*made(8, 0, 0, 2)).sentence == "A and B are right and wrong on exactly the same 10 rows."
    assert paired.compare(*made(90, 5, 0, 5)).sentence.startswith("These 100 rows do not tell A and B apart: only "
                                                                  "A is right on 5")
    assert ("by 10.0 points of accuracy (95 % interval" in paired.compare(*made(350, 2, 42, 6), name_a="x",
                                                                          name_b="y").sentence)
    named = paired.compare(*made(350, 2, 42, 6))
    assert "McNemar" in named.how and "p < 0.001" in named.how
    assert "McNemar" not in named.sentence and " p " not in named.sentence, "the test's name is one layer down"


@pytest.mark.parametrize("case", [(350, 42, 2, 6), (350, 2, 42, 6), (350, 12, 10, 6), (350, 10, 12, 6)])
def test_the_numbers_of_a_sentence_are_those_of_the_test(case):
    """Of a winner: by how much it is better, whichever run it is; else A less B, with signs."""
    got = paired.compare(*made(*case))
    low, high = (100 * value for value in (got.difference.low, got.difference.high))
    if "is better than" in got.sentence:
        low, high = sorted((abs(low), abs(high)))
        wanted = (f"by {abs(100 * got.difference.value):.1f} points of accuracy (95 % interval {low:.1f} to "
                  f"{high:.1f}).")
    else:
        wanted = f"(difference {100 * got.difference.value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f})."
        wanted = wanted.replace("-", "−")
    assert wanted in got.sentence


def test_one_resample_is_enough_and_none_is_refused():
    assert paired.compare(*made(5, 1, 1, 1), samples=1).n == 8
    with pytest.raises(DataError, match="at least one resample"):
        paired.compare(*made(5, 1, 1, 1), samples=0)


def test_interval_width_follows_the_discordant_rows():
    got = paired.compare(*made(400, 60, 40, 500)).difference
    error = np.sqrt(100 - 20**2 / 1000) / 1000  # standard error of a paired difference
    assert (got.low, got.high) == pytest.approx((0.02 - 1.96 * error, 0.02 + 1.96 * error), abs=0.0015)


def test_unequal_rows_are_refused():
    with pytest.raises(DataError):
        paired.compare([0, 1], [0, 1], [0])
