"""The same sixty rows as other programs write them: lines of fastText, drawn tables, columns of zeros and ones, objects
inside objects, Arrow, sheets named after splits. Each is read as the rows it holds, or refused as what it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.data import first_rows, tables
from core.data.check import check_file
from core.data.readers import one_hot
from core.data.readers.table import whole_table
from core.data.report import Finding
from core.domain.dataset import Role
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
N = 60
TEXTS = [f"a sentence of its own, number {i}" for i in range(N)]
LABELS = [("sport", "money", "art")[i % 3] for i in range(N)]
FRAME = pd.DataFrame({"text": TEXTS, "label": LABELS})
ROWS = FRAME.to_dict("records")


def read(path: Path, settings: Settings, *, text: str = "text", label: str = "label") -> list[tuple[Any, Any]]:
    """Texts and labels of a file, its beginning read alike."""
    table = tables.read(path, settings=settings)
    assert table.rows_read == len(table) + len(table.left_out)
    assert first_rows.read(path, settings=settings).table.columns == table.columns
    return list(zip(table.data[text].to_pylist(), table.data[label].to_pylist(), strict=True))


def found(path: Path, settings: Settings, code: str) -> Finding:
    return next(f for f in check_file(path, settings=settings).findings if f.code == code)


def lines(rows: list[Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


# -- lines of fastText -------------------------------------------------------------------------------------------------


def test_lines_of_fasttext(file: File, settings: Settings) -> None:
    marked = [f"__label__{label} {text}" for text, label in zip(TEXTS, LABELS, strict=True)]
    for name in ("train.txt", "train.csv", "train.ft"):
        assert read(file(name, "\n".join(marked)), settings) == list(zip(TEXTS, LABELS, strict=True))
    several = ["__label__a __label__b both of them", *marked, "no label at all"]
    rows = read(file("t.txt", "\ufeff" + "\r\n".join(several)), settings)
    assert rows[0] == ("both of them", "a|b") and rows[-1] == ("no label at all", None) and len(rows) == N + 2


def test_marks_in_cells_of_a_table_are_no_lines_of_fasttext(file: File, settings: Settings) -> None:
    table = "label,text\n" + "".join(f"__label__{label},{text.replace(',', '')}\n"
                                     for text, label in zip(TEXTS, LABELS, strict=True))
    assert read(file("t.csv", table), settings)[0] == (TEXTS[0].replace(",", ""), "__label__sport")


# -- drawn tables ------------------------------------------------------------------------------------------------------

_LINES = [f"| {text} | {label} |" for text, label in zip(TEXTS, LABELS, strict=True)]
DRAWN = {
    "markdown": ["# Title", "", "| text | label |", "|:---|---:|", *_LINES],
    "mysql": ["+---+---+", "| text | label |", "+---+---+", *_LINES, "+---+---+", "60 rows in set (0.00 sec)"],
    "psql": [" text | label", "------+-------", *(line.strip("| ") for line in _LINES), "(60 rows)"],
}


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("ending", ["md", "txt", "csv"])
def test_tables_drawn_with_bars(file: File, settings: Settings, kind: str, ending: str) -> None:
    assert read(file(f"t.{ending}", "\n".join(DRAWN[kind])), settings) == list(zip(TEXTS, LABELS, strict=True))


def test_bars_inside_cells_of_a_drawn_table(file: File, settings: Settings) -> None:
    drawn = [*DRAWN["markdown"][:4], "| one \\| two | sport |", *_LINES, "| too | many | cells |"]
    table = tables.read(file("t.md", "\n".join(drawn)), settings=settings)
    assert table.data["text"][0].as_py() == "one | two"
    assert [item.reason for item in table.left_out] == ["it has 3 cells where the first row has 2"]


def test_a_text_with_a_table_in_it_stays_a_text(file: File, settings: Settings) -> None:
    prose = [text.replace(",", "") for text in TEXTS]
    text = "\n\n".join([*prose[:9], "\n".join(DRAWN["markdown"][2:8]), *prose[9:]])
    assert tables.read(file("t.txt", text), settings=settings).format.startswith("Text, one row a line")


@pytest.mark.parametrize("separator", ["^", "~", "\x01", "\x1f"])
def test_rare_separators(file: File, settings: Settings, separator: str) -> None:
    assert read(file("t.csv", FRAME.to_csv(index=False, sep=separator)), settings) == list(zip(TEXTS, LABELS,
                                                                                               strict=True))


# -- columns of zeros and ones -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [int, float, bool])
@pytest.mark.parametrize("prefix", ["", "class_", "cats."])
def test_one_hot_columns_are_one_label(file: File, settings: Settings, kind: type, prefix: str) -> None:
    frame = pd.get_dummies(FRAME["label"]).astype(kind).rename(columns=lambda name: prefix + name)
    frame.insert(0, "text", TEXTS)
    path = file("t.csv", frame.to_csv(index=False))
    assert read(path, settings) == list(zip(TEXTS, LABELS, strict=True))
    assert "read as one label" in found(path, settings, "one-hot-label").message
    report = check_file(path, settings=settings)
    assert report.columns[f"{prefix}sport"] == Role.IGNORE and report.classes == Counter(LABELS)


def test_flags_beside_a_label_stay_flags(file: File, settings: Settings) -> None:
    flags = FRAME.assign(reply=[i % 2 for i in range(N)], first=[1 - i % 2 for i in range(N)])
    table = tables.read(file("t.csv", flags.to_csv(index=False)), settings=settings)
    assert table.columns == ("text", "label", "reply", "first") and not table.unusable


def test_rows_of_several_classes_are_not_one_label(file: File, settings: Settings) -> None:
    frame = pd.DataFrame({"text": TEXTS, **{name: [int(i % k == 0) for i in range(N)]
                                            for name, k in (("toxic", 2), ("threat", 4), ("insult", 6))}})
    path = file("t.csv", frame.to_csv(index=False))
    assert "label" not in tables.read(path, settings=settings).columns
    note = found(path, settings, "several-hot")
    assert note.count == sum(sum(i % k == 0 for k in (2, 4, 6)) > 1 for i in range(N))
    assert "toxic" in (note.example or "")


@given(st.lists(st.integers(0, 4), min_size=6, max_size=40))
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_was_spread_over_columns_comes_back(classes: list[int]) -> None:
    names = [f"c{k}" for k in sorted(set(classes))]
    columns = {name: [str(int(f"c{k}" == name)) for k in classes] for name in names}
    data = pa.table({"text": pa.array([f"t {i}" for i in range(len(classes))], pa.large_string()),
                     **{name: pa.array(cells, pa.large_string()) for name, cells in columns.items()}})
    table = one_hot.joined(whole_table(data, max_rows=100, name="t", format="t"))
    if len(names) < 2:
        assert table.data.equals(data)
    else:
        assert table.data["label"].to_pylist() == [f"c{k}" for k in classes] and set(table.unusable) == set(names)
        assert one_hot.joined(table) is table


# -- objects inside objects, lists by split and class, parts of documents ----------------------------------------------


def test_objects_inside_rows_are_columns(file: File, settings: Settings) -> None:
    rows = [{"doc": {"body": row["text"], "size": {"words": 7}}, "meta": {"label": row["label"]}} for row in ROWS]
    for name, content in (("t.jsonl", lines(rows)), ("t.json", json.dumps(rows))):
        path = file(name, content)
        assert read(path, settings, text="doc.body", label="meta.label") == list(zip(TEXTS, LABELS, strict=True))
        assert tables.read(path, settings=settings).columns == ("doc.body", "doc.size.words", "meta.label")
        assert check_file(path, settings=settings).classes == Counter(LABELS)
    pq.write_table(pa.Table.from_pylist(rows), path.with_suffix(".parquet"))
    assert read(path.with_suffix(".parquet"), settings, text="doc.body",
                label="meta.label") == list(zip(TEXTS, LABELS, strict=True))


def test_dictionaries_and_conversations_stay_whole(file: File, settings: Settings) -> None:
    rows = [{"text": row["text"], "label": row["label"], "counts": {f"word {i} {k}": 1 for k in range(5)},
             "chat": {"messages": [{"role": "user", "content": "hello"}]}} for i, row in enumerate(ROWS)]
    assert tables.read(file("t.jsonl", lines(rows)), settings=settings).columns == ("text", "label", "counts", "chat")


def test_facts_about_passages_are_no_classes(file: File, settings: Settings) -> None:
    """As in The Pile (Gao et al. 2020): texts, and an object that says where each came from."""
    rows = [{"text": row["text"], "meta": {"pile_set_name": row["label"]}} for row in ROWS]
    report = check_file(file("t.jsonl", lines(rows)), settings=settings)
    assert report.shape == "text" and report.columns == {"text": Role.TEXT, "meta.pile_set_name": Role.IGNORE}


def test_lists_of_rows_by_split(file: File, settings: Settings) -> None:
    whole = {"train": ROWS[:40], "validation": ROWS[40:50], "test": ROWS[50:]}
    table = tables.read(file("t.json", json.dumps(whole)), settings=settings)
    assert Counter(table.data["split"].to_pylist()) == {"train": 40, "validation": 10, "test": 10}
    assert table.data.select(["text", "label"]).to_pylist() == ROWS


def test_lists_of_texts_by_class(file: File, settings: Settings) -> None:
    rows = read(file("t.json", json.dumps({"sport": TEXTS[:25], "money": TEXTS[25:]})), settings)
    assert rows == [(text, "sport" if i < 25 else "money") for i, text in enumerate(TEXTS)]


@pytest.mark.parametrize("whole", [
    {"version": 1, "data": {"rows": ROWS}}, {"meta": {"n": 60}, "data": ROWS},
    {"features": [{"name": "text"}], "rows": [{"row_idx": i, "row": row} for i, row in enumerate(ROWS)]},
    {"columns": [{"a": 1}, {"a": 2}], "records": ROWS}], ids=["two deep", "beside facts", "the hub's", "beside a list"])
def test_the_rows_of_a_document(file: File, settings: Settings, whole: dict[str, Any]) -> None:
    assert tables.read(file("t.json", json.dumps(whole)), settings=settings).data.to_pylist() == ROWS


def test_two_lists_of_objects_are_not_chosen_between(file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match="is not a list of rows"):
        tables.read(file("t.json", json.dumps({"users": ROWS[:3], "posts": ROWS})), settings=settings)


@pytest.mark.parametrize("orient", ["columns", "index", "split", "table"])
@pytest.mark.parametrize("ending", ["json", "json.gz", "zip"])
def test_large_documents_of_json_can_be_previewed(settings: Settings, tmp_path: Path, orient: str, ending: str) -> None:
    """One object has no beginning that could be read by itself: the preview said *not valid JSON*."""
    frame = pd.DataFrame({"text": [f"{TEXTS[0]} {i}" * 2 for i in range(20_000)], "label": LABELS[:2] * 10_000})
    packed = {"compression": {"method": "zip", "archive_name": "train.json"}}
    options: dict[str, Any] = packed if ending == "zip" else {}
    frame.to_json(tmp_path / f"t.{ending}", orient=orient, **options)  # type: ignore[call-overload]
    head = first_rows.read(tmp_path / f"t.{ending}", settings=settings)
    assert {"text", "label"} <= set(head.table.columns) and len(head.table) >= 100


# -- Arrow, Parquet, Excel ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [60, 5_000])
@pytest.mark.parametrize("kind", ["feather", "stream"])
def test_arrow_files_and_streams(settings: Settings, tmp_path: Path, kind: str, rows: int) -> None:
    frame = pd.concat([FRAME] * (rows // N + 1))[:rows].reset_index(drop=True)
    path = tmp_path / "t.arrow"
    if kind == "feather":
        frame.to_feather(path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, pa.Schema.from_pandas(frame)) as stream:
            stream.write_table(pa.Table.from_pandas(frame, preserve_index=False), max_chunksize=700)
    assert read(path, settings) == list(zip(frame["text"], frame["label"], strict=True))
    assert first_rows.read(path, settings=settings).complete == (rows == N)


def test_a_dataset_as_the_datasets_library_saves_it(settings: Settings, tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict

    whole = Dataset.from_pandas(FRAME, preserve_index=False).cast_column("label", ClassLabel(
        names=["art", "money", "sport"]))
    DatasetDict(train=whole.select(range(40)), test=whole.select(range(40, N))).save_to_disk(tmp_path / "saved")
    table = tables.read(tmp_path / "saved", settings=settings)
    assert table.data.select(["text", "label"]).to_pylist() == ROWS
    assert Counter(table.data["split"].to_pylist()) == {"train": 40, "test": 20}


@pytest.mark.parametrize("content", [b"ARROW1\0\0" + bytes(50), b"\xff\xff\xff\xff" + bytes(80)])
def test_damaged_arrow_files(file: File, settings: Settings, content: bytes) -> None:
    with pytest.raises(DataError):
        tables.read(file("t.arrow", content), settings=settings)


def test_lists_of_one_label_in_parquet(settings: Settings, tmp_path: Path) -> None:
    lists = [*([label] for label in LABELS[:-1]), []]
    pq.write_table(pa.table({"text": TEXTS, "label": lists}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", settings) == list(zip(TEXTS, [*LABELS[:-1], None], strict=True))
    pq.write_table(pa.table({"text": TEXTS, "label": [["a", "b"]] * N}), tmp_path / "t.parquet")
    assert "several values" in tables.read(tmp_path / "t.parquet", settings=settings).unusable["label"]


def test_sheets_named_after_splits(settings: Settings, tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        for name, part in (("Notes", FRAME[:1]), ("Training set", FRAME[:40]), ("Test set", FRAME[40:])):
            part.to_excel(book, sheet_name=name, index=False)
    table = tables.read(tmp_path / "t.xlsx", settings=settings)
    assert table.data.select(["text", "label"]).to_pylist() == ROWS
    assert Counter(table.data["split"].to_pylist()) == {"train": 40, "test": 20}
    assert found(tmp_path / "t.xlsx", settings, "other-sheets").example == "Notes"


@pytest.mark.parametrize("other", [pd.DataFrame(), pd.DataFrame({"x": [1, 2], "y": [3, 4]})], ids=["empty", "others"])
def test_a_sheet_that_does_not_belong_to_the_others_is_named(settings: Settings, tmp_path: Path,
                                                             other: pd.DataFrame) -> None:
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        FRAME.to_excel(book, sheet_name="train", index=False)
        other.to_excel(book, sheet_name="test", index=False)
    assert tables.read(tmp_path / "t.xlsx", settings=settings).data.to_pylist() == ROWS
    assert found(tmp_path / "t.xlsx", settings, "other-sheets").example == "test"


def test_the_splits_of_contests(file: File, settings: Settings) -> None:
    frame = FRAME.assign(Usage=np.repeat(["Training", "PublicTest", "PrivateTest"], N // 3))
    splits = check_file(file("t.csv", frame.to_csv(index=False)), settings=settings).splits
    assert {name: sum(counts.values()) for name, counts in splits.items()} == {"train": 20, "validation": 20,
                                                                               "test": 20}


# -- what is no table, and letters encoded twice -----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "what"), [("t.xml", "an XML file"), ("t.yaml", "a YAML file"), ("t.sql", "a script"),
                                          ("t.arff", "a file of Weka"), ("t.dta", "a file of Stata")])
def test_what_is_no_table_is_called_what_it_is(file: File, settings: Settings, name: str, what: str) -> None:
    with pytest.raises(DataError, match=f"{name} is {what}"):
        tables.read(file(name, FRAME.to_csv(index=False)), settings=settings)


def test_letters_that_were_encoded_twice(file: File, settings: Settings) -> None:
    right = FRAME.assign(text=[f"{text}: café, Straße – “so”" for text in TEXTS])
    twice = right.to_csv(index=False).encode().decode("cp1252", "replace")
    note = found(file("t.csv", twice), settings, "twice-encoded")
    assert note.count == N and "'Ã©' for 'é'" in (note.example or "")
    codes = {f.code for f in check_file(file("u.csv", right.assign(text=right["text"] + " SÃO Â ÂO Ã À").to_csv(
        index=False)), settings=settings).findings}
    assert "twice-encoded" not in codes


def test_flags_beside_a_label_that_cannot_be_read_make_no_label(settings: Settings, tmp_path: Path) -> None:
    flags = {"reply": [i % 2 for i in range(N)], "first": [1 - i % 2 for i in range(N)]}
    pq.write_table(pa.table({"text": TEXTS, "label": [["a", "b"]] * N, **flags}), tmp_path / "t.parquet")
    table = tables.read(tmp_path / "t.parquet", settings=settings)
    assert table.columns == ("text", "reply", "first") and set(table.unusable) == {"label"}


def test_a_json_object_of_texts_and_classes(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "texts.json"
    path.write_text(json.dumps({f"the film number {i} was seen": ("good", "bad")[i % 2] for i in range(30)}))
    assert check_file(path, settings=settings).classes == {"good": 15, "bad": 15}


def test_names_of_rows_that_are_texts_are_kept(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "texts.json"
    path.write_text(json.dumps({f"the film number {i} was seen": {"label": ("good", "bad")[i % 2]} for i in range(30)}))
    assert tables.read(path, settings=settings).columns == ("text", "label")


@pytest.mark.parametrize("whole", [{"epochs": 3, "batch": 16, "seed": 0, "name": "x", "lr": 0.1, "steps": 3},
                                   {"a": True, "b": False}, {f"k{i}": i for i in range(20)},
                                   {f"k{i}": "x" for i in range(20)}])
def test_settings_are_no_rows(settings: Settings, tmp_path: Path, whole: object) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(whole))
    with pytest.raises(DataError, match="not a list of rows"):
        tables.read(path, settings=settings)
