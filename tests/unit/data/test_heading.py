"""Where the column names of a table are, and which rows around them are none."""

from __future__ import annotations

import pytest

from core.data.readers import heading

BODY = [[f"a sentence, number {i}", str(i), ("sport", "money")[i % 2]] for i in range(20)]
NAMES = ["text", "number", "label"]


@pytest.mark.parametrize(("above", "count"), [
    ([], 0), ([["A title"]], 1), ([["A title", "", ""], ["", "", ""]], 2), ([["2024", "May", "data"]], 1),
    ([[f"line {i}"] for i in range(40)], 0),                       # further down than anybody writes a title
])
def test_titles_stand_above_the_names(above: list[list[str]], count: int) -> None:
    assert heading.titles([*above, NAMES, *BODY, *BODY, *BODY]) == count


def test_nothing_stands_above_a_table_of_one_column_or_of_one_row() -> None:
    assert heading.titles([["text"], ["a"], ["b"]]) == 0 and heading.titles([NAMES]) == 0 and heading.titles([]) == 0


def test_titles_are_shown_in_one_line() -> None:
    found = heading.find([["Sentences of  2024", "", ""], ["by us"], NAMES, *BODY], name="t.csv")
    assert (found.columns, found.above) == (tuple(NAMES), 3)
    assert [(f.code, f.count, f.example) for f in found.findings] == [("lines-above", 2, "Sentences of 2024 / by us")]


@pytest.mark.parametrize(("rows", "units"), [
    ([["text", "integer", "category"]], (0,)), ([["(words)", "[1]", "{a/b}"]], (0,)),
    ([["varchar(200)", "int", "char(5)"]], (0,)), ([["Question 1", "", ""], ['{"ImportId":"Q1"}'] * 3], (0, 1)),
    ([["a text", "1", "sport"]], ()), ([["string", "int", "sport"]], ()),
    ([["text", "int", "enum"], ["text", "int", "enum"]], ()),     # as often as a row occurs that is one
])
def test_rows_below_the_names_that_describe_them(rows: list[list[str]], units: tuple[int, ...]) -> None:
    assert heading.find([NAMES, *rows, *BODY], name="t.csv").units == units
    assert heading.find([["A title"], NAMES, *rows, *BODY], name="t.csv").units == units


@pytest.mark.parametrize(("row", "width", "known", "comment"), [
    (["# a remark"], 3, True, True), (["#1", "2", "3"], 3, False, False), (["# 1", "2", "3"], 3, False, True),
    (["# 1", "2", "3"], 3, True, False), (["\ufeff #x"], 3, True, True), (["x #"], 3, False, False),
    ([], 3, False, False),
])
def test_remarks_inside_a_table(row: list[str], width: int, known: bool, comment: bool) -> None:
    assert heading.is_comment(row, width=width, known=known) == comment
