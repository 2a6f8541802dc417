"""Temperature scaling finds by how much logits were blown up, and changes no label."""

from __future__ import annotations

import numpy as np
import pytest

from core.analysis import calibration


@pytest.mark.parametrize("blown_up", [0.5, 1.0, 3.0])
def test_it_finds_by_how_much_logits_were_blown_up(blown_up: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 1.5, (20_000, 4))
    true = calibration.scaled(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 1.0)
    labels = (random.random((len(true), 1)) > true.cumsum(1)).sum(1)  # drawn as the probabilities say
    said = calibration.scaled(true, 1 / blown_up)
    found = calibration.temperature(said, labels)
    assert found == pytest.approx(blown_up, rel=0.05)
    scaled = calibration.scaled(said, found)
    np.testing.assert_allclose(scaled.sum(1), 1)
    assert (scaled.argmax(1) == said.argmax(1)).all()
    np.testing.assert_allclose(scaled, true, atol=0.03)
