"""The Train page filled with the recipes of an experiment, to be changed and started anew."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.run import Run


def train(ws: str, name: str, members: Sequence[Run]) -> None:
    """Fill it."""
