"""Fixed seeds for the charts' test data."""

import numpy as np
import pytest


@pytest.fixture
def positions() -> tuple[np.ndarray, np.ndarray]:
    """Base and tuned positions of 120 rows on a map."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((120, 2)) * [3, 1]
    return base, base + 0.5 * rng.standard_normal((120, 2)) + [1, 0]
