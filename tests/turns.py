"""Which of many like cases are tried: all of them where THAW_WHOLE is set, a part of them in continuous integration,
whose time is bounded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def whole() -> bool:
    """Whether everything is to be tried, however long it takes."""
    return bool(os.environ.get("THAW_WHOLE"))


def part(cases: Sequence[T], *, every: int) -> list[T]:
    """One case in so many, spread over all of them."""
    return list(cases if whole() else cases[::every])


def paired(firsts: Iterable[T], seconds: Sequence[U]) -> list[tuple[T, U]]:
    """Every one of the first with every one of the second; with one of them only, in turn, where not all is tried."""
    return [(first, second) for at, first in enumerate(firsts)
            for second in (seconds if whole() else [seconds[at % len(seconds)]])]
