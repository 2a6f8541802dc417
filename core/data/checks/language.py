"""Checks of rows for language models."""

from __future__ import annotations

from collections.abc import Iterator

from core.data.checks.context import Context
from core.data.report import ERROR, Finding


def something(context: Context) -> Iterator[Finding]:
    """An error where nothing is left to learn from."""
    if not len(context.rows):
        yield Finding(code="no-rows", severity=ERROR, count=0, message="No row is left to learn from.",
                      remedy="Check that the right columns are chosen as text, as prompt and response, or as messages, "
                             "and that their cells are filled.")
