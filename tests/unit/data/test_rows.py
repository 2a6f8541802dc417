"""From tables to labelled rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.data import rows, tables
from core.domain.dataset import Role
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
ROLES = {"text": Role.TEXT, "label": Role.LABEL}


def test_empty_cells_are_left_out_with_the_reason(file: File, settings: Settings) -> None:
    content = 'text,label\nok,a\n ,b\nok,\nNaN,b\nok,null\nfine,b\nbroken\n'
    built = rows.build(tables.read(file("t.csv", content), settings=settings), ROLES)
    assert built.row_id.tolist() == [1, 6]
    assert built.text.to_pylist() == ["ok", "fine"]
    assert [built.classes[i] for i in built.label] == ["a", "b"]
    assert [(item.row, item.reason) for item in built.left_out] == [
        (2, "the text is empty"), (3, "the label is empty"), (4, "the text says 'NaN', which means no value"),
        (5, "the label says 'null', which means no value"), (7, "it has 1 cell where the first row has 2")]


@pytest.mark.parametrize("first", ["text", "title"])
def test_rows_whose_texts_are_all_empty_are_left_out(first: str, file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "title,text,label\nBig,Long story,a\n,,b\nNaN,,a\nSmall,Short one,b\n"),
                        settings=settings)
    roles = {"title": Role.SECOND_TEXT, "text": Role.SECOND_TEXT, "label": Role.LABEL, first: Role.TEXT}
    built = rows.build(table, roles)
    assert built.text.to_pylist() == ["Big\nLong story", "Small\nShort one"] and built.row_id.tolist() == [1, 4]
    assert [item.row for item in built.left_out] == [2, 3]


def test_columns_are_joined_in_order_or_by_template(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "title,text,label\nBig,Long story,a\n,Only body,b\nOnly title,,a\n"),
                        settings=settings)
    roles = {"title": Role.SECOND_TEXT, "text": Role.TEXT, "label": Role.LABEL}
    assert rows.build(table, roles).text.to_pylist() == ["Big\nLong story", "Only body"]
    assert (rows.build(table, roles, template="{title}: {text}!").text.to_pylist()
            == ["Big: Long story!", ": Only body!", "Only title: !"])
    with pytest.raises(DataError, match="names 'nope'"):
        rows.build(table, roles, template="{nope}")
    with pytest.raises(DataError, match="names no column"):
        rows.build(table, roles, template="plain")


def test_labels_can_be_merged(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "text,label\na,Sport\nb,sport \nc,Sport\nd,news\n"), settings=settings)
    assert rows.build(table, ROLES).classes == ("Sport", "news", "sport ")
    merged = rows.build(table, ROLES, merge_labels=True)
    assert merged.classes == ("Sport", "news")
    assert merged.label.tolist() == [0, 0, 0, 1]


def test_a_split_cell_that_names_no_split_leaves_the_row_out(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "text,label,split\na,x,train\nb,y,Dev\nc,x,banana\nd,y,\n"), settings=settings)
    built = rows.build(table, ROLES | {"split": Role.SPLIT})
    assert built.split == ("train", "validation")
    assert [item.row for item in built.left_out] == [3, 4]


def test_other_columns_stay_for_the_checks(file: File, settings: Settings) -> None:
    built = rows.build(tables.read(file("t.csv", "text,label,x\na,b,1\n,b,2\nc,d,3\n"), settings=settings), ROLES)
    assert built.others is not None
    assert built.others["x"].to_pylist() == ["1", "3"]


CELLS = st.sampled_from(["", " ", "nan", "a", "b", "é", "train", "\n", "x" * 50, "=1"])


@hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=25), st.booleans())
def test_read_is_kept_plus_left_out(file: File, settings: Settings, cells: list[tuple[str, str, str]],
                                    merge: bool) -> None:
    import json

    lines = "\n".join(json.dumps({"text": a, "label": b, "split": c}) for a, b, c in cells)
    table = tables.read(file("t.jsonl", lines), settings=settings)
    built = rows.build(table, ROLES | {"split": Role.SPLIT}, merge_labels=merge)
    assert len(built) + len(built.left_out) == table.rows_read == len(cells)
    assert sorted([*built.row_id.tolist(), *(item.row for item in built.left_out)]) == list(range(1, len(cells) + 1))
