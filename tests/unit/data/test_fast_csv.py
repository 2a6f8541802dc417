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
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]


@hypothesis_settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text('ab,"\n\r é', max_size=40))
def test_it_agrees_with_the_careful_reader(file: File, body: str) -> None:
    path = file("t.csv", "text,label\n" + body)
    fast = fast_csv.read_clean(path, separator=",", columns=["text", "label"], first_rows=[])
    if fast is not None:
        with path.open(encoding="utf-8", newline="") as lines:
            careful = list(delimited.Records(lines, delimited.Dialect(separator=",")))[1:]
        assert [list(row.values()) for row in fast.to_pylist()] == careful


CLEAN = 'text,label\n"a ""quoted"" word,\nand a line",x\nplain,y\n,"z"\n'
ROWS = [['a "quoted" word,\nand a line', "x"], ["plain", "y"], ["", "z"]]


def test_well_formed_files_are_taken(file: File) -> None:
    taken = fast_csv.read_clean(file("t.csv", "\ufeff" + CLEAN), separator=",", columns=["text", "label"], first_rows=ROWS)
    assert taken is not None
    assert [list(row.values()) for row in taken.to_pylist()] == ROWS


@pytest.mark.parametrize("tail", ["one\n", "a,b,c\n", '"open,x\n', 'stray "quote" here,x\n', "a,\xff"])
def test_unusual_files_are_left_to_the_careful_reader(file: File, tail: str) -> None:
    path = file("t.csv", CLEAN.encode() + tail.encode("latin-1"))
    assert fast_csv.read_clean(path, separator=",", columns=["text", "label"], first_rows=[]) is None


def test_a_large_file_reads_the_same_either_way(file: File, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = file("t.csv", CLEAN * 1 + "".join(f'"row ""{i}"", é",{i % 3}\n' for i in range(2000)))
    careful = tables.read(path, settings=settings)
    monkeypatch.setattr(fast_csv, "MIN_BYTES", 0)
    fast = tables.read(path, settings=settings)
    assert fast.data.equals(careful.data)
    assert fast.row_numbers.tolist() == careful.row_numbers.tolist()
    assert (fast.format, fast.columns, fast.rows_read) == (careful.format, careful.columns, careful.rows_read)
    with pytest.raises(DataError, match="more than 10 rows"):
        tables.read(path, settings=Settings(home=tmp_path, max_rows=10))


def test_orange_headers_are_left_out_of_large_files_too(file: File, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_csv, "MIN_BYTES", 0)
    path = file("t.tab", "Category\tText\nd\tstring\nclass\t\n" + "".join(f"{'ab'[i % 2]}\tsome text {i}\n" for i in range(20)))
    table = tables.read(path, settings=settings)
    assert table.columns == ("Category", "Text")
    assert len(table) == 20
    assert table.data["Text"][0].as_py() == "some text 0"
