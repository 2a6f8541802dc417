"""Every kind of file, and every odd or hostile one: read with true counts, or refused in three parts."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.data import tables
from core.data.source import HIDDEN
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
ROWS = [{"text": "hello, world", "label": "a"}, {"text": 'say "hi"\nthere', "label": "b"},
        {"text": "für élan", "label": "a"}]


def as_csv(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def refused(path: Path, settings: Settings) -> DataError:
    with pytest.raises(DataError) as caught:
        tables.read(path, settings=settings)
    assert caught.value.what and caught.value.remedy
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimited_files_in_many_dresses(file: File, settings: Settings, encoding: str, delimiter: str) -> None:
    table = tables.read(file("t.csv", as_csv(ROWS, delimiter).encode(encoding)), settings=settings)
    assert table.data.to_pylist() == ROWS
    assert table.row_numbers.tolist() == [1, 2, 3]
    assert table.rows_read == 3
    guessed = encoding in ("utf-16-le", "cp1252")  # the others say themselves, or are plain, what they are
    assert [finding.code for finding in table.findings] == ["encoding-guessed"] * guessed


def test_the_same_rows_from_every_format(file: File, settings: Settings, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    book = openpyxl.Workbook()
    for row in [["text", "label"], *[[r["text"], r["label"]] for r in ROWS]]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("folder/t.csv", as_csv(ROWS))
        archive.writestr("__MACOSX/folder/._t.csv", b"junk")
    paths = [file("t.jsonl", "\n".join(json.dumps(r) for r in ROWS)), file("t.json", json.dumps(ROWS, indent=1)),
             tmp_path / "t.parquet", tmp_path / "t.xlsx", tmp_path / "t.zip",
             file("lines.json", "\n".join(json.dumps(r) for r in ROWS)),
             file("misnamed.csv", (tmp_path / "t.parquet").read_bytes()),
             file("misnamed.tsv", (tmp_path / "t.xlsx").read_bytes())]
    for path in paths:
        table = tables.read(path, settings=settings)
        assert table.data.to_pylist() == ROWS, path.name
        assert ([finding.count for finding in table.findings if finding.code == "system-files"] == [1]
                * (path.suffix == ".zip"))


def test_broken_rows_are_counted_with_number_and_reason(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", 'text,label\none,a\ntwo,b,c\n\n"open,a\nfour,b\nfive\nsix,a,,\n'),
                        settings=settings)
    assert (table.data.to_pylist() == [{"text": "one", "label": "a"}, {"text": "four", "label": "b"},
                                       {"text": "six", "label": "a"}])
    assert table.row_numbers.tolist() == [1, 4, 6]
    assert [(item.row, item.reason.split(":")[0]) for item in table.left_out] == [
        (2, "it has 3 cells where the first row has 2"), (3, "a quotation mark in this row is never closed"),
        (5, "it has 1 cell where the first row has 2")]
    assert table.rows_read == 6


def test_an_open_quote_in_tab_separated_text_costs_one_row_only(file: File, settings: Settings) -> None:
    lines = [f"row {i}\tx" for i in range(500)]
    lines[100] = '"row 100\tx'
    table = tables.read(file("t.tsv", "text\tlabel\n" + "\n".join(lines)), settings=settings)
    assert [item.row for item in table.left_out] == [101]
    assert len(table) == 499


def test_broken_json_lines_are_counted(file: File, settings: Settings) -> None:
    content = '{"text": "x", "label": 1.0}\n{broken}\n[1]\n\n{"text": "\\ud800", "extra": NaN}'
    table = tables.read(file("t.jsonl", content), settings=settings)
    assert (table.data.to_pylist()
            == [{"text": "x", "label": "1", "extra": None}, {"text": "?", "label": None, "extra": None}])
    assert [item.row for item in table.left_out] == [2, 3]
    assert table.rows_read == 4


def test_mixed_encodings_keep_every_character(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "text,label\nä £,a\n".encode() + "ö €,b\n".encode("cp1252")), settings=settings)
    assert table.data["text"].to_pylist() == ["ä £", "ö €"]
    assert [f.code for f in table.findings] == ["mixed-encodings"]


def test_cyrillic_without_utf8(file: File, settings: Settings) -> None:
    text = "Привет, мир! Это обычный русский текст, который кто-то сохранил в старой кодировке."
    table = tables.read(file("t.csv", f'text,label\n"{text}",да\n'.encode("cp1251")), settings=settings)
    assert table.data["text"].to_pylist() == [text]


def test_nul_bytes_are_taken_out_and_named(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", b"text,label\nok,a\nb\x00ad,b\n"), settings=settings)
    assert table.data["text"].to_pylist() == ["ok", "bad"]
    finding = table.findings[0]
    assert (finding.code, finding.count, finding.rows) == ("nul-bytes", 1, (2,))


def test_a_header_that_is_data_is_kept_as_a_row(file: File, settings: Settings) -> None:
    rows = [("I love it", "positive"), ("I hate it", "negative"), ("Fine", "positive"), ("Bad", "negative"),
            ("Good", "positive")]
    table = tables.read(file("t.csv", "\n".join(",".join(row) for row in rows)), settings=settings)
    assert table.columns == ("column 1", "column 2")
    assert len(table) == 5
    assert table.findings[0].code == "header-is-data"


def test_long_cells_formulas_emoji_and_right_to_left_text_pass_unchanged(file: File, settings: Settings) -> None:
    texts = ["x" * 100_000, "=cmd|' /C calc'!A0", "שלום עולם", "👩‍👩‍👧‍👦 🎉", "<script>alert(1)</script>", "a\u202eb"]
    table = tables.read(file("t.csv", as_csv([{"text": t, "label": "a"} for t in texts])), settings=settings)
    assert table.data["text"].to_pylist() == texts


def test_formulas_are_read_as_stored_values(settings: Settings, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["text", "label"], ["plain", 1], ["=1+1", 2.5]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    table = tables.read(tmp_path / "t.xlsx", settings=settings)
    assert table.data.to_pylist() == [{"text": "plain", "label": "1"}, {"text": None, "label": "2.5"}]


def test_nested_parquet(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "score": [1.0, float("nan")], "meta": [{"x": 1}, {"x": 2}]}), path)
    table = tables.read(path, settings=settings)
    assert table.data.to_pylist() == [{"text": "a", "score": "1", "meta.x": "1"},
                                      {"text": "b", "score": None, "meta.x": "2"}]
    pq.write_table(pa.table({"meta": [[1], [2]]}), path)
    assert "nested" in refused(path, settings).what


def test_class_names_of_the_datasets_library_are_used(settings: Settings, tmp_path: Path) -> None:
    info = {"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
                                  "text": {"dtype": "string"}}}}
    table = pa.table({"text": ["a", "b"], "label": [1, 0]}).replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "t.parquet")
    assert tables.read(tmp_path / "t.parquet", settings=settings).data["label"].to_pylist() == ["pos", "neg"]


REFUSED: list[tuple[str, str | bytes, str]] = [
    ("empty.csv", b"", "empty"),
    ("blank.csv", "\n\n  \n", "empty"),
    ("no-rows.csv", "text,label\n", "no rows"),
    ("twice.csv", "text,text\na,b\n", "two columns named 'text'"),
    ("binary.csv", b"\x00" * 1000, "not a text file"),
    ("picture.csv", b"\x89PNG\r\n\x1a\n" + b"x" * 50, "a single picture"),
    ("model.csv", b"\x80\x04\x95" + b"x" * 50, "pickle"),
    ("one.json", '{"data": [{"text": "x"}]}', "not a list of rows"),
    ("number.json", "42", "not a list of rows"),
    ("broken.json", '[{"text": ', "not valid JSON"),
    ("deep.json", "[" * 100_000, "not valid JSON"),
    ("empty.json", "[]", "no rows"),
    ("broken.parquet", b"PAR1 nope", "cannot be read as Parquet"),
    ("text.parquet", b"text,label\na,b\n", "cannot be read as Parquet"),
    ("broken.xlsx", b"PK\x03\x04 nope", "cannot be opened"),
    ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office"),
    ("<b onload=x>name</b>.csv", b"\x00" * 1000, "not a text file"),
]


@pytest.mark.parametrize(("name", "content", "says"), REFUSED, ids=[name for name, _, _ in REFUSED])
def test_refusals_say_what_happened(file: File, settings: Settings, name: str, content: str | bytes, says: str) -> None:
    path = file(name.replace("/", "∕"), content)
    assert says in refused(path, settings).what


def test_missing_and_oversized_files(file: File, tmp_path: Path) -> None:
    small = Settings(home=tmp_path, max_upload_mb=1, max_rows=10)
    assert "no file" in refused(tmp_path / "nowhere.csv", small).what
    assert "limit of 1 MB" in refused(file("big.csv", "text,label\n" + "x" * 1_100_000), small).what
    assert "more than 10 rows" in refused(file("long.csv", "text,label\n" + "a,b\n" * 11), small).what
    assert len(tables.read(file("fits.csv", "text,label\n" + "a,b\n" * 10), settings=small)) == 10


def test_an_xlsx_bomb_is_refused(settings: Settings, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    assert "zip bomb" in refused(tmp_path / "bomb.xlsx", settings).why


def make_tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


TREE = {"pos/1.txt": b"good", "pos/2.TXT": "schön".encode("latin-1"), "neg/1.txt": b"bad", "neg/readme.md": b"no",
        "neg/.hidden": b"no"}


@pytest.mark.parametrize("wrap", ["", "wrapper/"])
def test_folders_of_text_files(settings: Settings, tmp_path: Path, wrap: str) -> None:
    table = tables.read(make_tree(tmp_path / "set", {wrap + name: data for name, data in TREE.items()}),
                        settings=settings)
    assert ([(r["text"], r["label"]) for r in table.data.to_pylist()]
            == [("bad", "neg"), ("good", "pos"), ("schön", "pos")])
    assert [(item.file.removeprefix(wrap), item.reason) for item in table.left_out] == [
        ("neg/readme.md", "it is not a .txt file"), ("neg/.hidden", HIDDEN)]
    assert table.rows_read == 5


def test_zip_of_text_folders_and_a_split_level(settings: Settings, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        for name in ("train/a/1.txt", "train/b/1.txt", "test/a/2.txt", "test/b/2.txt", "__MACOSX/train/a/._1.txt"):
            archive.writestr(name, name)
    table = tables.read(tmp_path / "t.zip", settings=settings)
    assert table.columns == ("text", "label", "file", "split")
    assert sorted(zip(table.data["label"].to_pylist(), table.data["split"].to_pylist(), strict=True)) == [
        ("a", "test"), ("a", "train"), ("b", "test"), ("b", "train")]


def test_texts_beside_each_other_are_documents(settings: Settings, tmp_path: Path) -> None:
    table = tables.read(make_tree(tmp_path / "flat", {"1.txt": b"a", "2.txt": b"b"}), settings=settings)
    assert table.data.to_pylist() == [{"text": "a", "file": "1.txt"}, {"text": "b", "file": "2.txt"}]
    named = {"train.txt": b"a", "valid.txt": b"b", "test.txt": b"c"}
    table = tables.read(make_tree(tmp_path / "named", named), settings=settings)
    assert table.documents is not None
    assert [row["split"] for row in table.documents.data.to_pylist()] == ["train", "validation", "test"]


def test_zip_with_several_tables_or_outside_paths(settings: Settings, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    assert "2 tables" in refused(tmp_path / "two.zip", settings).what
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../evil.csv", as_csv(ROWS))
    assert "points outside" in refused(tmp_path / "evil.zip", settings).why


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=20), st.sampled_from([",", ";", "\t"]))
def test_what_was_written_is_what_is_read(file: File, settings: Settings, rows: list[tuple[str, str, str]],
                                          delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "label", "id"])
    writer.writerows(rows)
    table = tables.read(file("t.csv", out.getvalue()), settings=settings)
    assert not table.left_out
    assert [tuple(r.values()) for r in table.data.to_pylist()] == rows


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace")),
                 st.text('ab,;"\t\n\r\\|', max_size=120).map(lambda t: b"text,label\n" + t.encode())),
       st.sampled_from([".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".xlsx", ".zip", ""]))
@example(b"\x0b", ".json")                                           # blank in another way than JSON's own
def test_any_bytes_are_read_with_a_true_count_or_refused(file: File, settings: Settings, content: bytes,
                                                         suffix: str) -> None:
    path = file(f"any{suffix}", content)
    refusal: DataError | None = None
    try:
        table = tables.read(path, settings=settings)
    except DataError as error:
        refusal = error
    if refusal is not None:
        assert refusal.what and refusal.remedy
        return
    assert table.rows_read == len(table) + len(table.left_out)
    assert np.all(np.diff(table.row_numbers) > 0)
    numbers = set(table.row_numbers.tolist()) | {item.row for item in table.left_out}
    assert numbers == set(range(1, table.rows_read + 1))
