"""XLSX files that say other things about themselves than they hold."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from core.data import tables
from core.data.check import check_file
from core.errors import DataError
from core.settings import Settings

N = 40
END = "</sheetData>"
ROWS: list[list[Any]] = [[f"a sentence of its own, number {i}", ("sport", "money")[i % 2]] for i in range(N)]


def saved(path: Path, *sheets: Sequence[Sequence[Any]], titles: Sequence[str] = (),
          change: Callable[[Any], None] | None = None) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(titles[number] if titles else f"sheet {number}")
        for row in rows:
            sheet.append(list(row))
    if change is not None:
        change(book)
    book.save(path)
    return path


def rewritten(path: Path, change: Callable[[str], str], member: str = "xl/worksheets/sheet1.xml") -> Path:
    """The file with the XML of its first sheet changed."""
    with zipfile.ZipFile(path) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    parts[member] = change(parts[member].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)
    return path


def content(path: Path, settings: Settings) -> list[list[str | None]]:
    table = tables.read(path, settings=settings)
    assert table.rows_read == len(table) + len(table.left_out)
    return [list(row.values()) for row in table.data.select(["text", "label"]).to_pylist()]


@pytest.mark.parametrize("reference",
                         ['<dimension ref="A1"/>', '<dimension ref="A1:XFD1048576"/>', '<dimension ref="A1:A3"/>',
                          '<dimension ref="C5:D9"/>', ""])
def test_a_wrong_size_changes_nothing(tmp_path: Path, settings: Settings, reference: str) -> None:
    path = rewritten(saved(tmp_path / "t.xlsx", [["text", "label"], *ROWS]),
                     lambda xml: re.sub(r"<dimension[^>]*/>", reference, xml))
    assert content(path, settings) == ROWS


def test_hundreds_of_thousands_of_formatted_empty_rows(tmp_path: Path, settings: Settings) -> None:
    empty = "".join(f'<row r="{i}" s="1" customFormat="1"><c r="A{i}" s="1"/><c r="B{i}" s="1"/></row>'
                    for i in range(N + 2, 300_000))
    path = rewritten(saved(tmp_path / "t.xlsx", [["text", "label"], *ROWS]), lambda xml: xml.replace(END, empty + END))
    assert content(path, settings) == ROWS


@pytest.mark.parametrize("cell", ['<row r="99999999999"><c r="A99999999999"><v>1</v></c></row>',
                                  '<row r="50"><c r="ZZZZZZ50"><v>1</v></c></row>',
                                  '<row r="2000000"><c r="A2000000"><v>1</v></c></row>'])
def test_cells_that_no_sheet_can_have_are_refused(tmp_path: Path, settings: Settings, cell: str) -> None:
    path = rewritten(saved(tmp_path / "t.xlsx", [["text", "label"], *ROWS]), lambda xml: xml.replace(END, cell + END))
    with pytest.raises(DataError, match="Excel") as caught:
        tables.read(path, settings=settings)
    assert "no sheet can have" in caught.value.why


def test_rows_without_numbers(tmp_path: Path, settings: Settings) -> None:
    path = saved(tmp_path / "t.xlsx", [["text", "label"], *ROWS])
    rewritten(path, lambda xml: re.sub(r'(<(?:row|c)[^>]*?) r="[A-Z]*\d+"', r"\1", xml))
    assert content(path, settings) == ROWS


@pytest.mark.parametrize("above", [[["Survey 2024"]], [["Survey 2024"], [], ["made by", None]], [[None, "Results"]]])
def test_titles_above_the_table(tmp_path: Path, settings: Settings, above: list[list[Any]]) -> None:
    path = saved(tmp_path / "t.xlsx", [*above, ["text", "label"], *ROWS],
                 change=lambda book: book.worksheets[0].merge_cells("A1:B1"))
    if above[0][0] is None:
        path = saved(tmp_path / "u.xlsx", [*above, ["text", "label"], *ROWS])
    assert content(path, settings) == ROWS
    assert "lines-above" in {finding.code for finding in tables.read(path, settings=settings).findings}


def test_the_names_once_more_and_units(tmp_path: Path, settings: Settings) -> None:
    path = saved(tmp_path / "t.xlsx",
                 [["text", "label"], ["(words)", "(class)"], *ROWS[:20], ["Text", "Label"], *ROWS[20:]])
    table = tables.read(path, settings=settings)
    assert content(path, settings) == ROWS and [item.row for item in table.left_out] == [1, 22]


def test_merged_labels_count_for_all_their_rows(tmp_path: Path, settings: Settings) -> None:
    rows = [[text, ("sport", "money")[i // 10 % 2] if i % 10 == 0 else None] for i, (text, _) in enumerate(ROWS)]

    def merge(book: Any) -> None:
        for top in range(2, N + 2, 10):
            book.worksheets[0].merge_cells(f"B{top}:B{top + 9}")

    path = saved(tmp_path / "t.xlsx", [["text", "label"], *rows], change=merge)
    report = check_file(path, settings=settings)
    assert report.classes == {"money": 20, "sport": 20} and "merged-cells" in {f.code for f in report.findings}


def test_hidden_sheets_and_cover_sheets_are_passed_over(tmp_path: Path, settings: Settings) -> None:
    def hide(book: Any) -> None:
        book["old"].sheet_state = "hidden"

    old, cover, empty = ([["text", "label"], ["old", "old"]] * 3, [["A workbook about sports"], ["made by Ann"]],
                         [[None]])
    path = saved(tmp_path / "t.xlsx", old, cover, empty, [["text", "label"], *ROWS],
                 titles=["old", "cover", "empty", "data"], change=hide)
    assert content(path, settings) == ROWS
    finding = tables.read(path, settings=settings).findings[0]
    assert finding.code == "other-sheets" and "'data'" in finding.message
    path = saved(tmp_path / "u.xlsx", [["text", "label"], *ROWS], [["x"]], titles=["old", "x"], change=hide)
    assert content(path, settings) == ROWS and "hidden" in tables.read(path, settings=settings).findings[0].message


def test_dates_truth_values_errors_and_formulas(tmp_path: Path, settings: Settings) -> None:
    rows = [["text", "label", "when", "sure"], ["one", "#REF!", datetime.date(2024, 1, 2), True],
            ["two", "=1+1", datetime.datetime(2024, 1, 2, 3, 4), False],
            ["a_x000D_\nb", 3.0, datetime.time(3, 4), None]]
    path = saved(tmp_path / "t.xlsx", rows)
    table = tables.read(path, settings=settings)
    assert [list(row.values()) for row in table.data.to_pylist()] == [
        ["one", "#REF!", "2024-01-02", "true"], ["two", None, "2024-01-02T03:04:00", "false"],
        ["a\nb", "3", "03:04:00", None]]
    assert {finding.code: finding.count for finding in table.findings} == {"formulas-without-values": 1}
    reasons = [item.reason for item in check_file(path, settings=settings).left_out]
    assert reasons == ["the label says '#REF!', which means no value", "the label is empty"]


def test_notes_beside_the_table_are_left_out_by_name(tmp_path: Path, settings: Settings) -> None:
    rows = [list(row) for row in ROWS]
    rows[5] += [None, "look here"]
    table = tables.read(saved(tmp_path / "t.xlsx", [["text", "label"], *rows]), settings=settings)
    assert (table.columns, [item.row for item in table.left_out]) == (("text", "label"), [6])


def test_sparse_columns_keep_their_names(tmp_path: Path, settings: Settings) -> None:
    rows = [["text", "label", "note"], *([*row, "seen"] if i == 7 else row for i, row in enumerate(ROWS))]
    assert tables.read(saved(tmp_path / "t.xlsx", rows), settings=settings).columns == ("text", "label", "note")


def test_damaged_parts_are_refused_in_words(tmp_path: Path, settings: Settings) -> None:
    for number, damage in enumerate((lambda xml: xml[:300], lambda xml: xml.replace("</is>", "</si>", 1),
                                     lambda xml: "not xml", lambda xml: xml[: xml.rindex("</row>") + 6])):
        path = rewritten(saved(tmp_path / f"{number}.xlsx", [["text", "label"], *ROWS]), damage)
        with pytest.raises(DataError) as caught:
            tables.read(path, settings=settings)
        assert caught.value.what and caught.value.why and caught.value.remedy
    out = io.BytesIO((tmp_path / "0.xlsx").read_bytes()[:3000])
    (tmp_path / "cut.xlsx").write_bytes(out.getvalue())
    with pytest.raises(DataError):
        tables.read(tmp_path / "cut.xlsx", settings=settings)


@pytest.mark.parametrize("above", [[], [["Sentences of 2024"]], [["Sentences of 2024"], ["by us"]]])
def test_rows_that_reach_one_cell_further_than_the_names_begin_with_a_name_of_their_own(
        tmp_path: Path, settings: Settings, above: list[list[str]]) -> None:
    """As R writes a table; titles above are no names."""
    rows = [[f"r{i}", *row] for i, row in enumerate(ROWS)]
    assert content(saved(tmp_path / "t.xlsx", [*above, ["text", "label"], *rows]), settings) == ROWS


def test_one_row_in_five_that_reaches_further_is_a_slip(tmp_path: Path, settings: Settings) -> None:
    rows = [[*row, "a remark"] if i % 5 == 0 else row for i, row in enumerate(ROWS)]
    table = tables.read(saved(tmp_path / "t.xlsx", [["text", "label"], *rows]), settings=settings)
    assert table.row_numbers.tolist() == [i + 1 for i in range(N) if i % 5]
    assert {item.reason for item in table.left_out} == {"it has filled cells to the right of the 2 named columns"}


def test_merged_cells_beyond_the_table_are_of_no_account(tmp_path: Path, settings: Settings) -> None:
    path = rewritten(saved(tmp_path / "t.xlsx", [["text", "label"], *ROWS]), lambda xml: xml.replace(
        END, END + '<mergeCells count="1"><mergeCell ref="E3:E9"/></mergeCells>'))
    assert content(path, settings) == ROWS
