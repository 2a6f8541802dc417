"""Models are kept within a budget: the least recently used goes first, what is in use stays."""

from __future__ import annotations

import pytest

from core.domain.side import Side
from core.errors import FailureKind, ThawError
from core.serving.shelf import Shelf

SIDES = {name: Side(run=name) for name in "abcd"}


def make(budget: int) -> tuple[Shelf[str], list[str], list[int]]:
    loads: list[str] = []
    limit = [budget]

    def load(side: Side) -> tuple[str, int]:
        loads.append(side.run)
        return side.run.upper(), 10

    return Shelf(load=load, expected=lambda side: 10, budget=lambda held: limit[0]), loads, limit


def test_the_least_recently_used_goes_first() -> None:
    shelf, loads, _ = make(30)
    for name in ("a", "b", "c", "a", "d", "a"):
        assert shelf.take(SIDES[name]) == name.upper()
        shelf.give(SIDES[name])
    assert loads == ["a", "b", "c", "d"] and [side.run for side in shelf.sides] == ["c", "d", "a"]
    assert shelf.held_bytes == 30


def test_what_is_in_use_stays_and_is_waited_for() -> None:
    shelf, _, _ = make(20)
    shelf.take(SIDES["a"])
    shelf.take(SIDES["b"])
    assert not shelf.fits(SIDES["c"]) and shelf.fits(SIDES["a"])
    shelf.give(SIDES["a"])
    assert shelf.fits(SIDES["c"])
    shelf.take(SIDES["c"])
    assert {side.run for side in shelf.sides} == {"b", "c"}


def test_a_budget_that_shrinks_is_kept_at_the_next_look() -> None:
    shelf, _, limit = make(30)
    for name in "abc":
        shelf.take(SIDES[name])
        shelf.give(SIDES[name])
    limit[0] = 15
    shelf.trim()
    assert [side.run for side in shelf.sides] == ["c"]
    limit[0] = 5
    with pytest.raises(ThawError) as refused:
        shelf.check(SIDES["d"])
    assert refused.value.kind is FailureKind.OUT_OF_MEMORY and "10 B" in refused.value.why
    shelf.check(SIDES["c"])  # it is there
