"""Several labels in one cell are found, and ordinary names are not taken for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.check import Options, check_file
from core.data.checks.combined import combinations
from core.settings import Settings

SEVERAL = [
    (("sport", "money", '{"choices": ["sport", "money"]}'), 1),
    (('["sport"]', '["sport", "money"]', '["money"]'), 1),
    (("['sport', 'money']", "['sport']"), 1),
    (("('sport', 'money')", "{'a', 'b'}", "sport"), 2),
    (("[sport, money]", "[sport]"), 1),
    (('[{"start": 0, "end": 3, "labels": ["PER"]}, {"start": 4, "end": 6, "labels": ["ORG"]}]', "PER"), 1),
    (("a", "a|b", "a|c", "b", "b|c"), 3),
    (("sport; money", "sport", "money"), 1),
    (("sport,money", "money,world", "world,sport"), 3),
    (("action, drama", "drama, comedy", "action, comedy, drama"), 3),
    (("1,2,3", "1,2", "3", "2,3"), 3),
    (("red/blue", "red", "Blue "), 1),
    (("a + b", "a", "b"), 1),
    (("a & b & c", "a", "b", "c & a"), 2),
    (("a\nb", "a", "b"), 1),
]
SINGLE = [
    ("Paris, France", "Lyon, France", "Bonn, Germany"), ("news/sport", "news/politics"), ("Health & Fitness", "Health"),
    ("A+", "B+", "A", "B"),
    ("C", "C++", "C#"), ("1,5", "2,5", "5,1", "2"), ("1/2", "2/1", "1", "2"), ("red car", "blue car", "red bus"),
    ("[sport]", "[money]"), ("a|", "|b", "a", "b"), ('["sport"]', '["money"]'), ("{}", "[]"), ("(1999)", "(2000)"),
    ("[" * 5000, "x"), ("2020-01-02", "2020-02-01"), ("comp.os", "rec.autos"),
]


@pytest.mark.parametrize(("names", "count"), SEVERAL)
def test_several_labels_are_found(names: tuple[str, ...], count: int) -> None:
    assert len(combinations(names)) == count


@pytest.mark.parametrize("names", SINGLE)
def test_ordinary_names_are_left_alone(names: tuple[str, ...]) -> None:
    assert combinations(names) == {}


def test_the_finding_counts_rows_and_shows_the_parts(file: Callable[[str, str | bytes], Path],
                                                     settings: Settings) -> None:
    rows = "".join(f"some words about number {i},{label}\n" for i, label in enumerate(["a", "b", "a|b"] * 8))
    report = check_file(file("t.csv", "text,label\n" + rows), settings=settings, options=Options(thorough=False))
    finding = next(item for item in report.findings if item.code == "several-labels")
    assert ((finding.count, finding.severity, finding.example) == (8, "warning", "'a|b' (a and b)") and finding.rows[0]
            == 3)
