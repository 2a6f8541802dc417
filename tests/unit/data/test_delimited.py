"""Delimited files as other tools write them: stray quotation marks, lines above and inside the table, headers that do
not fit, dumps."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import tables
from core.data.check import check_file
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
WORDS = "the match ended late two goals in rain and shares fell on the exchange as rates rose again".split()
N = 400


def body(n: int = N) -> list[list[str]]:
    return [[" ".join(WORDS[(i * 7 + k) % len(WORDS)] for k in range(8)) + f" {i}", ("sport", "money", "rain")[i % 3]]
            for i in range(n)]


def joined(rows: list[list[str]], separator: str = ",") -> list[str]:
    return [separator.join(row) for row in rows]


def written(rows: list[list[str]], **options: object) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", **options).writerows(rows)    # type: ignore[arg-type]
    return out.getvalue()


def counts(path: Path, settings: Settings) -> tuple[int, int, dict[str, int]]:
    report = check_file(path, settings=settings)
    assert report.rows_read == report.rows_kept + len(report.left_out)
    return report.rows_read, report.rows_kept, report.classes


@pytest.mark.parametrize("closed", [None, 'a board of 2"', 'she said "yes"', '"quoted, whole"', '"', '"next one'])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("column", [0, 1])
def test_a_stray_mark_swallows_no_rows(file: File, settings: Settings, separator: str, column: int,
                                       closed: str | None) -> None:
    rows = body()
    rows[10][column] = '"' + rows[10][column]
    if closed is not None:
        rows[300][0] = closed.replace(",", separator)
    table = tables.read(file("t.csv", "\n".join(joined([["text", "label"], *rows], separator)) + "\n"),
                        settings=settings)
    assert table.rows_read == N == len(table) + len(table.left_out)
    assert len(table.left_out) <= 2 and {item.row for item in table.left_out} <= {11, 301}
    kept = dict(zip(table.row_numbers.tolist(), table.data.to_pylist(), strict=True))
    assert all(kept[i + 1] == {"text": rows[i][0], "label": rows[i][1]} for i in range(N) if i not in (10, 300))


def test_a_stray_mark_in_the_first_row_and_at_the_end(file: File, settings: Settings) -> None:
    for position in (0, 1, N - 2, N - 1):
        lines = joined(body())
        lines[position] = '"' + lines[position]
        table = tables.read(file("t.csv", "\n".join(["text,label", *lines])), settings=settings)
        assert (table.rows_read, [item.row for item in table.left_out]) == (N, [position + 1])


def test_many_stray_marks_beside_quoted_cells(file: File, settings: Settings) -> None:
    rows = body(2000)
    lines = [f'"{text}, really",{label}' for text, label in rows]
    for i in range(0, 2000, 10):
        lines[i] = f'"{rows[i][0]},{rows[i][1]}'
    table = tables.read(file("t.csv", "\n".join(["text,label", *lines])), settings=settings)
    assert (table.rows_read, len(table), len(table.left_out)) == (2000, 1800, 200)


def test_marks_that_mean_nothing_are_kept(file: File, settings: Settings) -> None:
    rows = body()
    for i in range(0, N, 3):
        rows[i][0] = ('"' + rows[i][0], f'"Great" {rows[i][0]}', f'5" of {rows[i][0]}"')[i % 2]
    table = tables.read(file("t.tsv", "\n".join(joined([["text", "label"], *rows], "\t"))), settings=settings)
    assert not table.left_out and table.data["text"].to_pylist() == [row[0] for row in rows]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_of_several_lines_stay_whole(file: File, settings: Settings, separator: str) -> None:
    texts = ["Dear all,\n\nthe match is off.\nYours, Ann", 'He said "no", then left\nand came back, late',
             "a;b\nc;d\ne\tf", "\nsport,\nmoney",
             "- one, sport\n- two, money\n"]
    rows = [[texts[i % 5] + f" {i}", ("sport", "money", "rain")[i % 3]] for i in range(90)]
    table = tables.read(file("t.csv", written([["text", "label"], *rows], delimiter=separator)), settings=settings)
    assert not table.left_out and [list(row.values()) for row in table.data.to_pylist()] == rows


@pytest.mark.parametrize("hint", ["sep=;\r\n", "sep=;\n", '"sep=;"\n', "SEP=;\n", "\ufeffsep=;\r\n", "sep=;\r"])
def test_a_hint_line_names_the_separator(file: File, settings: Settings, hint: str) -> None:
    end = hint[-1] if not hint.endswith("\r\n") else "\r\n"
    content = hint + end.join(joined([["text", "label"], *body()], ";"))
    assert counts(file("t.csv", content), settings) == (N, N, {"sport": 134, "money": 133, "rain": 133})


def test_a_hint_line_may_name_any_separator(file: File, settings: Settings) -> None:
    for separator in ("^", "\t", "|", ","):
        lines = joined([["text", "label"], *body()], separator)
        table = tables.read(file("t.csv", f"sep={separator}\n" + "\n".join(lines)), settings=settings)
        assert (table.columns, len(table)) == (("text", "label"), N)


ABOVE = ["Survey 2024\n", "Survey 2024,\n", "Survey 2024\n\nexported by Ann\n", '"Survey, 2024"\n',
         "# exported on Monday\n", "Survey, spring 2024\n", "% made by hand, by Ann\n", "// remark\n",
         '"Survey, spring\n', "# rows: 400, two columns\n# it's a test, \"open\n", "\n\nReport\n"]


@pytest.mark.parametrize("above", ABOVE)
def test_lines_above_the_table_are_no_rows(file: File, settings: Settings, above: str) -> None:
    path = file("t.csv", above + "\n".join(joined([["text", "label"], *body()])))
    table = tables.read(path, settings=settings)
    assert (table.columns, table.rows_read, len(table)) == (("text", "label"), N, N)
    assert [finding.code for finding in table.findings] == ["lines-above"]


def test_titles_above_wide_tables(file: File, settings: Settings) -> None:
    rows = [["id", "text", "label", "user", "date"], *([str(i), *row, "ann", "monday"] for i, row in enumerate(body()))]
    above = "Project:,Survey,,,\nDate:,2024-01-01,,,\n,,,,\n"
    table = tables.read(file("t.csv", above + "\n".join(joined(rows))), settings=settings)
    assert (table.columns, len(table)) == (("id", "text", "label", "user", "date"), N)


@pytest.mark.parametrize("header", ["#text,label", "# text,label", "# made by hand\n# text,label"])
def test_column_names_behind_a_hash_sign(file: File, settings: Settings, header: str) -> None:
    table = tables.read(file("t.csv", header + "\n" + "\n".join(joined(body()))), settings=settings)
    assert (table.columns, table.rows_read, len(table)) == (("text", "label"), N, N)


def test_texts_that_begin_with_a_hash_sign_are_rows(file: File, settings: Settings) -> None:
    tagged = [["#" + text, label] for text, label in body()]
    for content in (joined([["text", "label"], *tagged]), joined(tagged)):
        table = tables.read(file("t.csv", "\n".join(content)), settings=settings)
        assert (table.rows_read, len(table)) == (N, N)


def test_remarks_inside_the_table_are_left_out_by_name(file: File, settings: Settings) -> None:
    lines = joined(body())
    lines[50:50] = ["# second part"]
    lines[80:80] = ["# third part, by hand"]
    table = tables.read(file("t.csv", "\n".join(["text,label", *lines])), settings=settings)
    remark = "it is a remark that begins with #"
    assert [(item.row, item.reason) for item in table.left_out] == [(51, remark), (81, remark)]
    assert (table.rows_read, len(table)) == (N + 2, N)


@pytest.mark.parametrize("again", ["text,label", "Text,Label", "\ufefftext,label", '"text","label"', "text , label"])
def test_a_repeated_header_is_left_out_and_counted(file: File, settings: Settings, again: str) -> None:
    lines = joined(body())
    lines[200:200] = [again]
    read, kept, classes = counts(file("t.csv", "\n".join(["text,label", *lines])), settings)
    assert (read, kept, set(classes)) == (N + 1, N, {"sport", "money", "rain"})


@pytest.mark.parametrize("units", ["(words),(class)", "[text],[class]", "string,category", "varchar(200),int", "str,"])
def test_a_row_of_units_is_left_out(file: File, settings: Settings, units: str) -> None:
    table = tables.read(file("t.csv", "\n".join(["text,label", units, *joined(body())])), settings=settings)
    assert table.rows_read == N + 1
    if units != "str,":
        assert [item.row for item in table.left_out] == [1] and "describes" in table.left_out[0].reason


def test_the_question_rows_of_survey_tools(file: File, settings: Settings) -> None:
    extra = [["What do you think?", "Which topic?"], ['{"ImportId":"QID1"}', '{"ImportId":"QID2"}']]
    table = tables.read(file("t.csv", written([["Q1", "label"], *extra, *body()])), settings=settings)
    assert (table.rows_read, [item.row for item in table.left_out]) == (N + 2, [1, 2])


def as_r(rows: list[list[str]], separator: str) -> str:
    quoted = [separator.join('"' + cell.replace('"', '\\"') + '"' for cell in row) for row in rows]
    return "\n".join(quoted) + "\n"


@pytest.mark.parametrize("separator", ["\t", " ", ",", ";"])
@pytest.mark.parametrize("suffix", ["txt", "csv", "tsv"])
@pytest.mark.parametrize("names", ["numbers", "words"])
def test_tables_of_r_have_a_name_less(file: File, settings: Settings, separator: str, suffix: str, names: str) -> None:
    rows = body()
    rows[5][0] = 'he said "no" twice'
    named = [[str(i + 1) if names == "numbers" else f"Row {i}", *row] for i, row in enumerate(rows)]
    table = tables.read(file(f"t.{suffix}", as_r([["text", "label"], *named], separator)), settings=settings)
    assert table.columns == ("row name", "text", "label")
    assert [[r["text"], r["label"]] for r in table.data.to_pylist()] == rows


def test_headers_that_do_not_fit_are_refused_in_words(file: File, settings: Settings) -> None:
    rows = [[*row, "0.5"] for row in body()]
    for header, width in ((["text", "label"], 3), (["id", "text", "label", "score"], 3)):
        with pytest.raises(DataError) as caught:
            tables.read(file("t.csv", "\n".join(joined([header, *rows]))), settings=settings)
        assert "do not fit" in caught.value.what and f"{width} cells" in caught.value.why and caught.value.remedy


def test_a_comma_at_the_end_of_every_row_is_no_column(file: File, settings: Settings) -> None:
    for header in ("text,label", "text,label,"):
        table = tables.read(file("t.csv", "\n".join([header, *(line + "," for line in joined(body()))])),
                            settings=settings)
        assert (table.columns, len(table)) == (("text", "label"), N)


def test_mysql_outfile_with_quotes(file: File, settings: Settings) -> None:
    texts = ['he said "no" in C:\\new\\test', "two\nlines", 'ends in "a quote"', "a tab\tinside", "C:\\"]
    rows = [[texts[i % 5] + ("" if i % 5 in (2, 4) else f" {i}"), None if i % 7 == 0 else ("a", "b")[i % 2]]
            for i in range(70)]
    escaped = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\\n"})
    lines = [",".join("\\N" if cell is None else f'"{cell.translate(escaped)}"' for cell in row) for row in rows]
    table = tables.read(file("t.csv", "\n".join(["text,label", *lines]) + "\n"), settings=settings)
    assert [list(row.values()) for row in table.data.to_pylist()] == rows


def test_dumps_with_tabs_and_no_quotes(file: File, settings: Settings) -> None:
    texts = ['he said "no" in C:\\new\\test', '"opens', "two\nlines", "plain"]
    rows = [[texts[i % 4] + f" {i}", None if i % 7 == 0 else ("a", "b")[i % 2]] for i in range(70)]
    lines = ["\t".join("\\N" if cell is None else cell.replace("\\", "\\\\").replace("\n", "\\\n") for cell in row)
             for row in rows]
    table = tables.read(file("t.tsv", "\n".join(["text\tlabel", *lines]) + "\n"), settings=settings)
    assert [list(row.values()) for row in table.data.to_pylist()] == rows


def test_backslashes_of_a_person_stay(file: File, settings: Settings) -> None:
    rows = [[f"C:\\new\\{i}\\\\server\\", "ab"[i % 2]] for i in range(40)]
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        table = tables.read(file("t.csv", written([["text", "label"], *rows], quoting=quoting)), settings=settings)
        assert [list(row.values()) for row in table.data.to_pylist()] == rows


def test_spaces_before_quotation_marks(file: File, settings: Settings) -> None:
    lines = [f'{label}, "{text}, and so on"' for text, label in body()]
    table = tables.read(file("t.csv", "\n".join(["label, text", *lines])), settings=settings)
    assert not table.left_out and table.data["text"][3].as_py() == body()[3][0] + ", and so on"


def test_comma_separated_text_files_are_tables(file: File, settings: Settings) -> None:
    table = tables.read(file("t.txt", written([["text", "label"], *body()])), settings=settings)
    assert (table.columns, len(table)) == (("text", "label"), N)
    prose = "\n".join(f"{text}, and {label}" + ", too" * (len(text) % 3) for text, label in body())
    assert tables.read(file("prose.txt", prose), settings=settings).columns == ("text",)


@pytest.mark.parametrize("first", ["just a text with no label,", "text,"])
def test_a_first_row_that_is_no_title_is_counted(file: File, settings: Settings, first: str) -> None:
    table = tables.read(file("t.csv", "\n".join([first, *joined(body())])), settings=settings)
    named = first == "text,"
    assert table.rows_read == N + (not named) and len(table) >= N
    assert "lines-above" not in {finding.code for finding in table.findings}


def test_headings_of_markdown_are_texts_whatever_their_label(file: File, settings: Settings) -> None:
    rows = [["# " + text, label] for text, label in body()]
    rows[77][1] = "a rare one"
    table = tables.read(file("t.csv", "\n".join(joined([["text", "label"], *rows]))), settings=settings)
    assert (table.rows_read, len(table)) == (N, N)


def test_column_names_with_an_open_mark_are_names(file: File, settings: Settings) -> None:
    for header in ('"text,label', 'text,"label', 'text",label'):
        table = tables.read(file("t.csv", "\n".join([header, *joined(body())])), settings=settings)
        assert ([name.strip('"') for name in table.columns], table.rows_read, len(table)) == (["text", "label"], N, N)


def test_classes_called_like_columns_are_classes(file: File, settings: Settings) -> None:
    rows = [[text, ("question", "answer", "title")[i % 3]] for i, (text, _) in enumerate(body())]
    for content in (joined(rows), joined([["sentence", "kind"], *rows])):
        table = tables.read(file("t.csv", "\n".join(content)), settings=settings)
        assert (table.rows_read, len(table)) == (N, N)
