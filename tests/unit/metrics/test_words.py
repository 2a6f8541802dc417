"""Statistics in words: known answers."""

import pytest

from core.domain.run import Interval
from core.metrics import REGISTRY, words


@pytest.mark.parametrize(("value", "text"),
                         [(0.0004, "< 0.001"), (0.001, "= 0.001"), (0.0344, "= 0.034"), (1.0, "= 1.000")])
def test_p_values(value, text):
    assert words.p_value(value) == text


@pytest.mark.parametrize(("value", "digits", "fixed", "signed"), [
    (0.0476, 3, "0.048", "+0.048"), (-0.0017, 3, "−0.002", "−0.002"), (-0.0003, 3, "0.000", "0.000"),
    (0.04, 1, "0.0", "0.0"), (-5.46, 1, "−5.5", "−5.5"), (0.0, 2, "0.00", "0.00"), (12345.6, 1, "12345.6", "+12345.6")])
def test_a_number_has_a_minus_sign_and_zero_has_none(value: float, digits: int, fixed: str, signed: str) -> None:
    assert words.fixed(value, digits) == fixed
    assert words.signed(value, digits) == signed


@pytest.mark.parametrize(("text", "shown"), [
    ("is -1.6 points (95 % interval -8.4 to +5.3)", "is −1.6 points (95 % interval −8.4 to +5.3)"),
    ("from -.5, **-0.7**, -0.002", "from −.5, **−0.7**, −0.002"),
    ("on 2026-11-29, all-MiniLM-L6-v2, 5e-05, blocks 0-3, full-20, LP-FT", None),
    ("https://arxiv.org/abs/2405-09673 and rows 1 - 3, (4)-5", None)])
def test_only_a_hyphen_before_a_number_becomes_a_minus_sign(text: str, shown: str | None) -> None:
    assert words.minus(text) == (shown or text)


@pytest.mark.parametrize(("share", "digits", "text"), [(0.5, 0, "50 %"), (0.0112, 1, "1.1 %"), (0.0, 0, "0 %")])
def test_a_share_is_said_in_percent_with_a_space(share: float, digits: int, text: str) -> None:
    assert words.percent(share, digits) == text


def test_a_difference_is_said_with_its_interval() -> None:
    found = Interval(value=0.0241, low=-0.0102, high=0.041)
    assert words.change(found, 3) == "+0.024 (−0.010 to +0.041)"
    assert words.change(found, 1, " points") == "0.0 points (0.0 to 0.0)"
    said = words.gap(REGISTRY["accuracy"], found, with_sign=True)
    assert said == "+2.4 points of accuracy (95 % interval −1.0 to +4.1)"


@pytest.mark.parametrize(("count", "said"), [(43, "43"), (3294, "3,300"), (40_966, "41,000"), (996, "1,000")])
def test_what_would_tell_claims_no_more_than_two_digits(count: int, said: str) -> None:
    assert words.would_tell(None, count) == f"A difference of this size would take about {said} more test rows."


def test_what_would_tell_counts_one_as_one() -> None:
    start = "A difference of this size would take about"
    assert words.would_tell(1, 403) == f"{start} 1 more seed or about 400 more test rows."
    assert words.would_tell(None, 1, rows="shift rows") == f"{start} 1 more shift row."
    assert words.would_tell(None, None) == ""
