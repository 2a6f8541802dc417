"""No cell that leaves for a spreadsheet is read as a formula there, from whichever page or command it comes."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from core.data.report import ImportReport, LeftOut
from core.spreadsheets import FORMULA, inert, records_to_csv, safe, to_csv

ROOT = Path(__file__).resolve().parents[2]
EVIL = ["=1+1", '=HYPERLINK("http://x","y")', "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
        "\uff1d1", "-"]


@pytest.mark.parametrize("cell", EVIL)
def test_formulas_become_text_wherever_they_are(cell: str) -> None:
    report = ImportReport(source="x", rows_read=1, rows_kept=0, left_out=(LeftOut(row=1, reason=cell, file=cell),))
    for text in (to_csv([cell], [[cell]]), records_to_csv([{cell: cell, "n": 1}]), report.left_out_csv()):
        for row in csv.reader(io.StringIO(text, newline="")):
            assert not any(value.startswith(FORMULA) for value in row)
            assert row == ["row", "file", "reason"] or "'" + cell.replace("\r", "\n") in row
    assert inert([{cell: cell}]) == [{"\u200b" + cell: "\u200b" + cell}]


def test_all_else_stays_as_it_is() -> None:
    assert [safe(cell) for cell in (-1, -0.5, None, "", "a=b", "x-1", True)] == [-1, -0.5, None, "", "a=b", "x-1", True]
    assert to_csv(["a"], [["x\r=1"]]) == 'a\n"x\n=1"\n'
    assert records_to_csv([{"a": -1, "b": "x"}, {"c": "y,z"}]) == 'a,b,c\n-1,x,\n,,"y,z"\n'
    assert inert([{"a": -1, "b": "x", "c": None}]) == [{"a": -1, "b": "x", "c": None}]


def test_every_csv_is_written_in_one_place() -> None:
    writers = re.compile(r"csv\.(writer|DictWriter)|\.to_csv\(")
    found = {str(path.relative_to(ROOT)) for folder in ("core", "pages") for path in (ROOT / folder).rglob("*.py")
             if writers.search(path.read_text(encoding="utf-8"))}
    assert found == {"core/spreadsheets.py", "core/data/hub.py"}, "hub.py writes a table that only Thaw reads"


def test_tables_on_screen_are_inert() -> None:
    """Streamlit lets everybody save a table as CSV; those whose cells are people's own go through `inert`."""
    plain = {"pages/_ui/features/drawers.py"}                        # numbers and names of Thaw's own
    for path in (ROOT / "pages").rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        for call in re.findall(r"st\.dataframe\(([^,\n]{5})", path.read_text(encoding="utf-8")):
            assert call == "inert" or name in plain, name
