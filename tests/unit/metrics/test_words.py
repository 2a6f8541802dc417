"""Statistics in words: known answers."""

import pytest

from core.metrics import words


@pytest.mark.parametrize(("value", "text"),
                         [(0.0004, "< 0.001"), (0.001, "= 0.001"), (0.0344, "= 0.034"), (1.0, "= 1.000")])
def test_p_values(value, text):
    assert words.p_value(value) == text


def test_what_would_tell_counts_one_as_one() -> None:
    start = "A difference of this size would take about"
    assert words.would_tell(1, 403) == f"{start} 1 more seed or about 403 more test rows."
    assert words.would_tell(None, 1, rows="shift rows") == f"{start} 1 more shift row."
    assert words.would_tell(None, None) == ""
