"""Means a token with intervals over documents: known answers, and how often a null is called something."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.errors import DataError
from core.metrics.documents import a_token


def test_the_mean_is_over_tokens_not_documents() -> None:
    found = a_token([10.0, 2.0], [10, 1])
    assert found.value == pytest.approx(12 / 11)
    assert found.low < found.value < found.high


def test_documents_that_are_alike_have_no_spread() -> None:
    found = a_token(np.full(20, 3.0), np.full(20, 2.0))
    assert [found.value, found.low, found.high] == pytest.approx([1.5, 1.5, 1.5])


def test_as_wide_as_student_s_interval() -> None:
    """With equal tokens it is a mean of 20 values, whose interval is known."""
    from scipy import stats

    values = np.random.default_rng(0).normal(1.0, 2.0, 20)
    found = a_token(values, np.ones(20), samples=20_000)
    half = stats.t.ppf(0.975, 19) * values.std(ddof=1) / math.sqrt(20)
    assert found.high - found.value == pytest.approx(half, rel=0.03)


def test_strata_are_drawn_each_for_itself() -> None:
    """Between two kinds that differ, but not within, there is nothing to resample."""
    sums, kinds = [1.0, 1.0, 5.0, 5.0], ["a", "a", "b", "b"]
    found = a_token(sums, np.ones(4), strata=kinds)
    assert [found.low, found.high] == pytest.approx([3.0, 3.0])
    assert a_token(sums, np.ones(4)).low < 3.0


def test_one_document_has_no_interval_and_none_no_mean() -> None:
    assert math.isinf(a_token([1.0], [2]).low)
    with pytest.raises(DataError, match="nothing to take a mean of"):
        a_token([], [])


@pytest.mark.parametrize("spread", ["normal", "heavy tails"])
def test_a_null_is_called_a_change_in_about_five_of_a_hundred(spread: str) -> None:
    """No change but noise, over 20 documents of unequal length, as in a domain of the panel."""
    rng, called, tries = np.random.default_rng(7), 0, 1000
    for _ in range(tries):
        tokens = rng.integers(120, 260, 20)
        noise = rng.normal(0, 1, 20) if spread == "normal" else rng.standard_t(4, 20)
        found = a_token(tokens * noise * 0.05, tokens, seed=int(rng.integers(2**31)), samples=500)
        called += found.low > 0 or found.high < 0
    assert 0.02 < called / tries < 0.05 + 3 * math.sqrt(0.05 * 0.95 / tries)
