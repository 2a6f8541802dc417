"""The fast reader gives what the careful one gives, or declines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.data import tables
from core.data.readers import delimited, fast_csv
from core.data.readers.dialect import Dialect, shape_of
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]


@hypothesis_settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text('ab,"\n\r é', max_size=40))
def test_it_agrees_with_the_careful_reader(file: File, body: str) -> None:
    path = file("t.csv", "text,label\n" + body)
    shape = shape_of("text,label\n" + body, Dialect(separator=","))
    fast = fast_csv.read_clean(path, separator=",", columns=["text", "label"], first_rows=[], shape=shape,
                               names=["text", "label"])
    if fast is not None:
        with path.open(encoding="utf-8", newline="") as lines:
            careful = list(delimited.Records(lines, shape))[1:]
        assert [list(row.values()) for row in fast.to_pylist()] == careful


CLEAN = 'text,label\n"a ""quoted"" word,\nand a line",x\nplain,y\n,"z"\n'
SHAPE = shape_of(CLEAN, Dialect(separator=","))
ROWS = [['a "quoted" word,\nand a line', "x"], ["plain", "y"], ["", "z"]]


def test_well_formed_files_are_taken(file: File) -> None:
    taken = fast_csv.read_clean(file("t.csv", "\ufeff" + CLEAN), separator=",", columns=["text", "label"],
                                first_rows=ROWS, shape=SHAPE, names=["text", "label"])
    assert taken is not None
    assert [list(row.values()) for row in taken.to_pylist()] == ROWS


def test_column_names_in_quotes_and_lines_inside_of_cells_over_many_blocks_are_taken(file: File) -> None:
    """Arrow cuts a file into blocks of 4 MB."""
    row = '"' + ("a" * 4000 + "\n") * 2 + '",x\n'
    taken = fast_csv.read_clean(file("t.csv", '"text","label"\n' + row * 1000), separator=",",
                                columns=["text", "label"], first_rows=[], shape=SHAPE, names=["text", "label"])
    assert taken is not None and len(taken) == 1000 and taken["label"].to_pylist() == ["x"] * 1000


TAILS = ["one\n", "TEXT,label\n", "# a remark,with a comma\n", "a,b,c\n", '"open,x\n', 'stray "quote" here,x\n',
         "a,\xff"]


@pytest.mark.parametrize("tail", TAILS)
def test_unusual_files_are_left_to_the_careful_reader(file: File, tail: str) -> None:
    path = file("t.csv", CLEAN.encode() + tail.encode("latin-1"))
    assert (fast_csv.read_clean(path, separator=",", columns=["text", "label"], first_rows=[], shape=SHAPE,
                                names=["text", "label"]) is None)


def test_a_large_file_reads_the_same_either_way(file: File, settings: Settings, monkeypatch: pytest.MonkeyPatch,
                                                tmp_path: Path) -> None:
    path = file("t.csv", CLEAN * 1 + "".join(f'"row ""{i}"", é",{i % 3}\n' for i in range(2000)))
    careful = tables.read(path, settings=settings)
    taken, real = [], fast_csv.read_clean
    monkeypatch.setattr(fast_csv, "read_clean", lambda *args, **options: taken.append(real(*args, **options))
                        or taken[-1])
    tables.read(path, settings=settings)
    assert taken == [], "it is too small to be worth it"
    monkeypatch.setattr(fast_csv, "MIN_BYTES", 0)
    fast = tables.read(path, settings=settings)
    assert [len(table) for table in taken] == [2003], "and not read by the careful one all the same"
    assert fast.data.equals(careful.data)
    assert fast.row_numbers.tolist() == careful.row_numbers.tolist()
    assert (fast.format, fast.columns, fast.rows_read) == (careful.format, careful.columns, careful.rows_read)
    with pytest.raises(DataError, match="more than 10 rows"):
        tables.read(path, settings=Settings(home=tmp_path, max_rows=10))


def test_orange_headers_are_left_out_of_large_files_too(file: File, settings: Settings,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_csv, "MIN_BYTES", 0)
    path = file("t.tab",
                "Category\tText\nd\tstring\nclass\t\n" + "".join(f"{'ab'[i % 2]}\tsome text {i}\n" for i in range(20)))
    table = tables.read(path, settings=settings)
    assert table.columns == ("Category", "Text")
    assert len(table) == 20
    assert table.data["Text"][0].as_py() == "some text 0"


def test_rows_that_a_cell_of_a_large_file_swallows_are_noticed(file: File, settings: Settings,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_csv, "MIN_BYTES", 0)
    lines = [f"text number {i},{'ab'[i % 2]}" for i in range(1000)]
    lines[300] = '"opens here,a'
    lines[700] = 'six feet 2",b'                                     # closes it, as the rules go
    table = tables.read(file("t.csv", "text,label\n" + "\n".join(lines)), settings=settings)
    assert (table.rows_read, [item.row for item in table.left_out]) == (1000, [301])
    assert table.data["text"][698].as_py() == "text number 699" and table.data["text"][699].as_py() == 'six feet 2"'
