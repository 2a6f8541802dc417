"""Statistics in words: known answers."""

import pytest

from core.metrics import words


@pytest.mark.parametrize(("value", "text"),
                         [(0.0004, "< 0.001"), (0.001, "= 0.001"), (0.0344, "= 0.034"), (1.0, "= 1.000")])
def test_p_values(value, text):
    assert words.p_value(value) == text
