"""How a file is written, judged by its first lines: separator, quotation marks, escapes, and what a row looks like."""

from __future__ import annotations

import pytest

from core.data.readers import dialect
from core.data.readers.dialect import Dialect, Shape, detect_dialect, shape_of

COMMA = Dialect(separator=",")


@pytest.mark.parametrize(("line", "separator"), [
    ("sep=;\r\n", ";"), ("\ufeffSEP=\\t\n", "\t"), ('"sep=|"\n', "|"), ("sep=;,,,\n", ";"), ("sep=", None),
    ("sep=;a\n", None), ("text,label\n", None),
])
def test_a_hint_line(line: str, separator: str | None) -> None:
    assert dialect.hinted_separator(line) == separator


@pytest.mark.parametrize(("sample", "separator"), [
    ("a;b\n1,5;2\n2,5;3\n", ";"), ("a|b\n1|2\n", "|"), ("a\tb\n1, 2\t3\n", "\t"), ('"a b" c\n"d e" "f"\n', " "),
    ("text\nhello there\nagain\n", ","), ("", ","),
])
def test_the_separator_that_cuts_most_rows_alike(sample: str, separator: str) -> None:
    assert detect_dialect(sample).separator == separator


def test_a_table_of_one_column_has_the_separator_of_its_ending() -> None:
    assert detect_dialect("text\nhello there\nagain\n", hint="\t").separator == "\t"


def test_one_broken_row_in_twenty_does_not_decide() -> None:
    rows = [f"a{', b' * (i % 3)} {i}\tx" for i in range(19)]
    assert detect_dialect("\n".join(["text\tlabel", *rows, "no tab, here"]) + "\n").separator == "\t"


@pytest.mark.parametrize(("sample", "quote"), [
    ("'a, b',x\n'c, d',y\n", "'"),                        # as some databases write it
    ("'a, b',x\n'she said \"no\"',y\n", '"'),             # where there are others, these are apostrophes
    ("it's late,x\n'c, d',y\nplain,z\n", '"'),            # a third of the rows are no habit
])
def test_which_mark_encloses_a_cell(sample: str, quote: str) -> None:
    assert detect_dialect(sample).quote == quote


def test_escapes_with_a_backslash() -> None:
    dumped = detect_dialect('"a \\"b\\" c",x\n"line\\\nbreak",y\n')
    assert dumped.backslash and dumped.doubled
    lines = list(dialect.cooked(['"a \\"b\\" c","\\\\N"\n', '"two\\\n', 'lines",y\n'], dumped))
    rows = [dialect.restored(cells, dumped) for cells in dumped.reader(lines)]
    assert rows == [['a "b" c', "\\N"], ["two\nlines", "y"]]
    single = Dialect(separator=",", backslash=True)       # a backslash is written once: it stays one
    row = next(single.reader(dialect.cooked(['C:\\\\x,\\n\n'], single)))
    assert dialect.restored(row, single) == ["C:\\\\x", "\\n"]
    assert not detect_dialect('"a ""b"" c",x\n').backslash


def test_the_last_line_of_a_sample_that_is_cut_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "SAMPLE_CHARS", 8)
    assert dialect.lines_of("ab\n\ncd\n") == ["ab\n", "cd\n"]
    assert dialect.lines_of("abcd\nefg") == ["abcd\n"]
    assert dialect.lines_of("abcdefgh") == ["abcdefgh"], "of one line alone it is all there is"


@pytest.mark.parametrize(("widths", "width"), [([], 0), ([3, 2, 2], 2), ([2, 3, 2, 3], 3)])
def test_the_most_frequent_width(widths: list[int], width: int) -> None:
    assert dialect.common_width(widths) == width


def test_what_a_row_looks_like() -> None:
    names = ["s" * 60, "m" * 61]
    lines = [f"text {i},{names[i % 2]},{'ab'[i % 2]}\n" for i in range(20)]
    found = shape_of("".join(lines), COMMA)
    assert (found.width, found.vocabulary) == (3, {2: frozenset("ab")}), "a name of 61 characters is a text"
    found = shape_of("".join(line.replace("m" * 61, "m") for line in lines), COMMA)
    assert found.vocabulary == {1: frozenset({"s" * 60, "m"}), 2: frozenset("ab")}
    assert shape_of("".join(lines[:4]), COMMA).vocabulary == {}, "four rows tell nothing of what repeats"


def test_a_column_whose_values_mostly_repeat_has_known_values() -> None:
    values = ["a"] * 8 + ["x", "y"]
    assert shape_of("".join(f"{i},{v}\n" for i, v in enumerate(values)), COMMA).vocabulary == {1: frozenset("a")}
    values = ["a"] * 7 + ["x", "y", "z"]
    assert shape_of("".join(f"{i},{v}\n" for i, v in enumerate(values)), COMMA).vocabulary == {}


def test_a_row_has_a_known_value_in_every_such_column() -> None:
    shape = Shape(dialect=COMMA, width=3, vocabulary={1: frozenset("ab"), 2: frozenset("xy")})
    assert shape.is_row("text,a,y\n")
    assert not any(map(shape.is_row, ("text,a,other\n", "text,other,x\n", "text,a\n", "a,y,a,y\n")))
    assert shape.could_be(["#1", "b", "x"]) and not shape.could_be(["#1", "b", "?"])
    assert Shape(dialect=COMMA, width=2, vocabulary={1: frozenset("a")}, hashes=True).could_be(["#1", "?"])


def test_a_line_that_opens_a_mark_is_a_row_where_known_cells_follow() -> None:
    after = Shape(dialect=COMMA, width=2, vocabulary={1: frozenset("ab")})
    before = Shape(dialect=COMMA, width=2, vocabulary={0: frozenset("ab")})
    assert after.opens_alone('"open,a\n') and before.opens_alone('"a,text\n')
    assert not before.opens_alone('a,"open\n'), "nothing known follows the mark"
    assert not after.opens_alone('"open,?\n') and not after.opens_alone('"open, and more,a\n')
    assert not Shape(dialect=COMMA, width=2).opens_alone('"open,a\n')


def test_many_rows_that_begin_with_a_hash_sign_are_rows() -> None:
    def sample(hashes: int) -> str:
        return "".join(f"{'#' if i < hashes else ''}text {i},{'ab'[i % 2]}\n" for i in range(50))

    assert not shape_of(sample(2), COMMA).hashes and shape_of(sample(3), COMMA).hashes
