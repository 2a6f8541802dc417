"""Runs of language models say little at each evaluation, which would be most of their time."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four tokens instead of forty."""
    from core.training import samples

    monkeypatch.setattr(samples, "MOST_TOKENS", {"quick": 4})
    monkeypatch.setattr(samples, "DEFAULT_MOST_TOKENS", 4)
