"""Every odd or hostile table that Thaw promises to meet: a true report or a refusal that speaks, and nothing lost in
between."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.data.check import check_file
from core.data.report import ImportReport
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]


def csv(*rows: str, header: str = "text,label") -> str:
    return "\n".join([header, *rows]) + "\n"


def good(n: int = 40) -> list[str]:
    return [f"sentence number {i} about {'cats' if i % 2 else 'dogs'},{'cat' if i % 2 else 'dog'}" for i in range(n)]


def nested_parquet() -> bytes:
    out = io.BytesIO()
    texts = [f"sentence {i} here" for i in range(20)]
    pq.write_table(pa.table({"text": texts, "label": [["a", "c"], ["b"]] * 10}), out)
    return out.getvalue()


def formula_sheet() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [["text", "label"], *([f'=HYPERLINK("http://x/{i}","click")', "ab"[i % 2]] for i in range(20))]:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


REFUSED: list[tuple[str, str, str | bytes, str]] = [
    ("one column", "a.csv", "amount\n" + "12\n" * 20, "looks like the text"),
    ("no rows", "a.csv", "text,label\n", "no rows"),
    ("duplicate column names", "a.csv", "text,label,text\na,b,c\n", "two columns named"),
    ("not a list", "a.json", json.dumps({"rows": {"text": "x"}}), "not a list"),
    ("nested label", "a.parquet", nested_parquet(), "looks like the label"),
    ("an SVG", "a.svg", "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "SVG"),
]

FOUND: list[tuple[str, str, str | bytes, str]] = [
    ("one class", "a.csv", csv(*(f"words {i},same" for i in range(20))), "one-class"),
    ("one row a class", "a.csv", csv(*(f"words {i},class {i}" for i in range(20))), "one-row-per-class"),
    ("5,000 classes", "a.csv", csv(*(f"words {i},class {i % 5000}" for i in range(10_000))), "too-many-classes"),
    ("NaN and empty labels", "a.csv", csv(*good(), "x,", "y,NaN", "z,null"), "left-out"),
    ("labels that look continuous", "a.csv", csv(*(f"words {i},{i * 0.37:.2f}" for i in range(60))),
     "continuous-label"),
    ("100,000-character cells", "a.csv", csv(*good(), "x" * 100_000 + ",cat"), "very-long-texts"),
    ("mixed encodings", "a.csv", csv(*good(), "café,cat").encode() + "na\xefve,dog\n".encode("latin-1"),
     "mixed-encodings"),
    ("NUL bytes", "a.csv", csv(*good(), "a\0b,cat"), "nul-bytes"),
    ("a header that is data", "a.csv", "\n".join(good()) + "\n", "header-is-data"),
    ("formula cells", "a.csv", csv(*good(), '"=HYPERLINK(""http://x"",""y"")",cat', "=1+1,dog"), "length"),
    ("right-to-left and emoji", "a.csv", csv(*good(), "\u202eشكرا جزيلا 🎉👩\u200d🚀,cat"), "length"),
    ("markup as name", "<img src=x onerror=alert(1)>.csv", csv(*good()), "length"),
]


def adds_up(report: ImportReport) -> bool:
    return (report.rows_read == report.rows_kept + len(report.left_out) and sum(report.classes.values())
            == report.rows_kept)


@pytest.mark.parametrize(("name", "content", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refusals_have_three_parts(file: File, settings: Settings, name: str, content: str | bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        check_file(file(name, content), settings=settings)
    assert says in caught.value.what
    assert caught.value.why and caught.value.remedy


@pytest.mark.parametrize(("name", "content", "code"), [case[1:] for case in FOUND], ids=[case[0] for case in FOUND])
def test_reports_are_true_and_name_the_problem(file: File, settings: Settings, name: str, content: str | bytes,
                                               code: str) -> None:
    report = check_file(file(name, content), settings=settings)
    assert adds_up(report) and report.source == name
    finding = next(finding for finding in report.findings if finding.code == code)
    assert finding.message and finding.remedy


def test_formulas_without_stored_values_are_left_out_not_computed(file: File, settings: Settings) -> None:
    report = check_file(file("a.xlsx", formula_sheet()), settings=settings)
    assert adds_up(report) and report.rows_kept == 0
    assert ({item.reason for item in report.left_out} == {"the text is empty"} and [f.code for f in report.errors]
            == ["no-rows"])


def test_nested_values_are_told_to_be_flattened(file: File, settings: Settings) -> None:
    with pytest.raises(DataError) as caught:
        check_file(file("a.parquet", nested_parquet()), settings=settings)
    assert "'label' cannot be used" in caught.value.why and "a cell of its own" in caught.value.remedy


@pytest.mark.parametrize(("name", "content"), [(case[1], case[2]) for case in FOUND], ids=[case[0] for case in FOUND])
def test_every_finding_says_what_to_do_in_whole_sentences(file: File, settings: Settings, name: str,
                                                          content: str | bytes) -> None:
    for finding in check_file(file(name, content), settings=settings).findings:
        assert (finding.message.endswith(".") and finding.remedy.endswith(".")
                and finding.severity in ("error", "warning", "info"))
