"""Trust this page: every live check passes on sound features."""

import numpy as np
import pytest

from core.shift import cka, trust


@pytest.mark.parametrize("n", [300, 1500])
def test_all_checks_pass(block, n):
    x, _, _ = block(n=n)
    failed = [c for c in trust.measure(x.astype(np.float16)) if not c.passed]
    assert failed == []


def test_a_wrong_number_is_caught(block, monkeypatch):
    x, _, _ = block()
    monkeypatch.setattr(cka, "linear", lambda x, y: 0.9)
    assert ({c.name for c in trust.measure(x) if not c.passed}
            >= {"CKA of the base with itself", "CKA with shuffled rows"})
