"""Errors speak in three parts, and every failure type has a tip."""

from __future__ import annotations

import pytest

from core import errors
from core.errors import TIPS, FailureKind, ThawError

FAMILY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ThawError)]


def test_every_failure_type_has_a_tip() -> None:
    assert set(TIPS) == set(FailureKind)
    assert all(len(tip) > 20 for tip in TIPS.values())


@pytest.mark.parametrize("kind", FAMILY, ids=lambda k: k.__name__)
def test_an_error_always_says_what_to_do(kind: type[ThawError]) -> None:
    problem = kind("It broke.")
    assert problem.what == "It broke."
    assert problem.remedy == TIPS[problem.kind]
    assert kind.__doc__


def test_the_three_parts_are_the_message() -> None:
    assert str(ThawError("What.", why="Why.", remedy="Do this.")) == "What. Why. Do this."


def test_a_kind_given_wins_over_the_class() -> None:
    assert ThawError("x", kind=FailureKind.OUT_OF_MEMORY).remedy == TIPS[FailureKind.OUT_OF_MEMORY]
    assert errors.FetchError("x").kind is FailureKind.FETCH
