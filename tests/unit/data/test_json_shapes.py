"""JSON as pandas, `datasets` and annotation tools write it: read as what it is, or refused by name; never learned from
bookkeeping."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.data import roles, tables
from core.data.check import check_file
from core.data.readers import json_rows, json_shapes
from core.data.report import ImportReport
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
N = 60
ROWS = [{"text": f"a sentence of its own, number {i}", "label": ("sport", "money")[i % 2]} for i in range(N)]


def checked(path: Path, settings: Settings) -> ImportReport:
    report = check_file(path, settings=settings)
    assert report.rows_read == report.rows_kept + len(report.left_out)
    return report


def lines(rows: list[Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


@pytest.mark.parametrize("orient", ["split", "table", "columns", "index", "values", "records"])
@pytest.mark.parametrize("named", [False, True])
def test_every_orient_of_pandas(file: File, settings: Settings, orient: str, named: bool) -> None:
    frame = pd.DataFrame(ROWS, index=[f"row {i}" for i in range(N)] if named else None)
    table = tables.read(file("t.json", frame.to_json(orient=orient)), settings=settings)  # type: ignore[call-overload]
    names = ["column 1", "column 2"] if orient == "values" else ["text", "label"]
    assert (table.rows_read == N and table.data.select(names).to_pylist()
            == [dict(zip(names, row.values(), strict=True)) for row in ROWS])


def test_columns_as_lists_and_lines_of_lists(file: File, settings: Settings) -> None:
    whole = {"text": [row["text"] for row in ROWS], "label": [row["label"] for row in ROWS]}
    assert tables.read(file("t.json", json.dumps(whole)), settings=settings).data.to_pylist() == ROWS
    listed = [["text", "label"], *([row["text"], row["label"]] for row in ROWS)]
    for name, content in (("t.json", json.dumps(listed)), ("t.jsonl", lines(listed))):
        assert tables.read(file(name, content), settings=settings).data.to_pylist() == ROWS


def test_lists_of_another_length_are_left_out_by_name(file: File, settings: Settings) -> None:
    rows = [["text", "label"], ["one", "a"], ["two"], ["three", "b", "c"], ["four", "b"]]
    table = tables.read(file("t.jsonl", lines(rows) + "\n{broken"), settings=settings)
    assert (table.rows_read, [item.row for item in table.left_out]) == (5, [2, 3, 5])
    assert [item.reason for item in table.left_out[:2]] == [f"it has {n} cells where there are 2 columns"
                                                            for n in (1, 3)]
    assert "it is not valid JSON: " in table.left_out[2].reason
    split = {"columns": ["text", "label"], "index": [0, 1], "data": [["one", "a"], ["two"]]}
    table = tables.read(file("t.json", json.dumps(split)), settings=settings)
    assert (table.rows_read, [item.row for item in table.left_out]) == (2, [2])


def test_a_broken_first_line_costs_one_row(file: File, settings: Settings) -> None:
    table = tables.read(file("t.jsonl", '{"text": "cut\n{}\n' + lines(ROWS)), settings=settings)
    assert ((table.rows_read, [item.row for item in table.left_out]) == (N + 2, [1, 2]) and table.data.to_pylist()
            == ROWS)


def test_objects_over_several_lines(file: File, settings: Settings) -> None:
    content = "\n".join(json.dumps(row, indent=2) for row in ROWS)
    for name in ("t.json", "t.jsonl"):
        assert tables.read(file(name, content), settings=settings).data.to_pylist() == ROWS


def test_a_list_without_objects_is_refused(file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match="named values") as caught:
        tables.read(file("t.json", json.dumps(["one", 2, 3])), settings=settings)
    assert caught.value.why and "list of objects" in caught.value.remedy


@pytest.mark.parametrize(("value", "text", "kind"), [
    (None, None, "null value"), ("a", "a", "text"), (True, "true", "true/false value"), (3.0, "3", "number"),
    (0.1, "0.1", "number"), (float("nan"), None, "number"), (1e15, "1000000000000000.0", "number"), (7, "7", "number"),
    (["é", None], '["é", null]', "list"), ({"a": 1}, '{"a": 1}', "object"),
])
def test_a_value_as_a_cell_and_in_a_word(value: Any, text: str | None, kind: str) -> None:
    assert json_rows.to_text(value) == text and json_shapes.kind_of(value) == kind


def test_objects_a_line_are_read_line_by_line_whatever_the_ending(file: File, settings: Settings) -> None:
    for name in ("t.json", "t.jsonl", "t.ndjson"):
        assert tables.read(file(name, lines(ROWS)), settings=settings).format == "JSON Lines, utf-8"


def test_what_is_no_row_is_called_by_its_kind() -> None:
    found = list(json_shapes.from_lists([(["text"], ""), ({"a": 1}, ""), (None, "broken"), (["x"], "")]))
    assert found == [(None, "it is a object, not a list like the others"), (None, "broken"), ({"text": "x"}, "")]


@pytest.mark.parametrize("content", ['{"a": 1} [2]', '{"a": 1} {"a":', '{"a": 1} 2'])
def test_objects_with_something_else_behind_them_are_no_json(file: File, settings: Settings, content: str) -> None:
    with pytest.raises(DataError, match="is not valid JSON") as caught:
        tables.read(file("t.json", content), settings=settings)
    assert "Extra data" in caught.value.why


# -- annotation tools --------------------------------------------------------------------------------------------------


def studio_task(i: int, results: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    chosen = [{"value": {"choices": [ROWS[i]["label"]]}, "from_name": "mood", "to_name": "text", "type": "choices"}]
    return {"id": i, "annotations": [{"id": i, "completed_by": i % 3, "result": chosen if results is None else results,
                                      "lead_time": 1.5}],
            "data": {"text": ROWS[i]["text"], "url": f"http://x/{i}"}, "project": i % 2, "updated_by": i % 2,
            "inner_id": i, "created_at": "2024-01-01", "updated_at": f"2024-01-{i % 20 + 1:02}", "file_upload": "a.csv",
            "total_annotations": 1, **more}


def test_label_studio_json(file: File, settings: Settings) -> None:
    tasks = [studio_task(i) for i in range(N)]
    tasks[3]["annotations"].append({"result": [], "was_cancelled": True})
    tasks[4]["annotations"].append({"result": [{"value": {"choices": ["sport", "money"]}, "from_name": "mood",
                                                "type": "choices"}]})
    tasks[5]["annotations"] = []
    report = checked(file("t.json", json.dumps(tasks)), settings)
    assert {n: r for n, r in report.columns.items() if r != "ignore"} == {"id": "id", "text": "text", "mood": "label"}
    assert report.classes == {"money": 29, "sport": 29}
    assert [item.row for item in report.left_out] == [5, 6] and "disagree" in report.left_out[0].reason


def test_label_studio_of_spans_and_boxes_is_refused_by_name(file: File, settings: Settings) -> None:
    for kind in ("labels", "rectanglelabels", "textarea"):
        tasks = [studio_task(i, [{"value": {kind: ["x"], "start": 0, "end": 3}, "from_name": "a", "type": kind}])
                 for i in range(N)]
        with pytest.raises(DataError, match="Label Studio") as caught:
            checked(file("t.json", json.dumps(tasks)), settings)
        assert kind in caught.value.why


def minimal(i: int) -> dict[str, Any]:
    return {"id": i, "text": ROWS[i]["text"], "mood": ROWS[i]["label"], "annotator": 1 + i % 2, "annotation_id": i,
            "lead_time": 1.5 + i % 3, "created_at": f"2024-01-01T00:{i:02}:00.000000Z",
            "updated_at": f"2024-01-02T00:{i:02}:00.000000Z"}


@pytest.mark.parametrize("kind", ["json", "csv", "tsv", "parquet"])
def test_label_studio_json_min_and_csv(file: File, settings: Settings, tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame([minimal(i) for i in range(N)])
    path = tmp_path / f"t.{kind}"
    if kind == "json":
        path.write_text(json.dumps([minimal(i) if i else {**minimal(i), "mood": {"choices": ["sport"]}}
                                    for i in range(N)]))
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="," if kind == "csv" else "\t")
    report = checked(path, settings)
    assert (report.columns["mood"] == "label" and report.columns["text"] == "text" and report.classes
            == {"money": 30, "sport": 30})


@pytest.mark.parametrize("key", ["label", "labels", "category"])
def test_doccano_lists_and_texts_are_one_class(file: File, settings: Settings, key: str) -> None:
    rows = [{"id": i, "text": row["text"], key: [row["label"]] if i % 3 else row["label"], "Comments": []}
            for i, row in enumerate(ROWS)]
    rows[7][key] = []
    report = checked(file("t.jsonl", lines(rows)), settings)
    assert report.classes == {"sport": 30, "money": 29} and [item.row for item in report.left_out] == [8]


@pytest.mark.parametrize("spans", [[[0, 5, "PER"], [6, 9, "LOC"]],
                                   [{"start_offset": 0, "end_offset": 5, "label": "PER", "id": 1}]])
def test_doccano_spans_are_refused_by_name(file: File, settings: Settings, spans: list[Any]) -> None:
    for key in ("label", "entities"):
        with pytest.raises(DataError, match="marks parts"):
            checked(file("t.jsonl", lines([{"id": i, "text": row["text"], key: spans} for i, row in enumerate(ROWS)])),
                    settings)


def test_prodigy_choices(file: File, settings: Settings) -> None:
    answers = ["accept"] * 8 + ["reject", "ignore"]
    rows = [{"text": row["text"], "_input_hash": i, "_task_hash": -i, "options": [{"id": "sport"}],
             "accept": [row["label"]], "answer": answers[i % 10], "_annotator_id": "ann",
             "_timestamp": 17 + i % 2} for i, row in enumerate(ROWS)]
    path = file("t.jsonl", lines(rows))
    report = checked(path, settings)
    assert (report.columns["label"] == "label" and report.classes == {"money": 24, "sport": 24} and len(report.left_out)
            == 12)
    asked = check_file(path, label="answer", settings=settings)      # a person may ask for it
    assert asked.classes == {"accept": 48, "ignore": 6, "reject": 6}


def test_prodigy_yes_or_no_and_spans(file: File, settings: Settings) -> None:
    rows = [{"text": row["text"], "label": row["label"], "answer": ("accept", "accept", "reject")[i % 3],
             "_input_hash": i, "_task_hash": i}
            for i, row in enumerate(ROWS)]
    report = checked(file("t.jsonl", lines(rows)), settings)
    assert sum(report.classes.values()) == 40 and set(report.classes) == {"sport", "money"}
    for row in rows:
        row.pop("label")
        row["spans"] = []                                            # type: ignore[assignment]
    with pytest.raises(DataError, match="Prodigy"):
        checked(file("t.jsonl", lines(rows)), settings)


@pytest.mark.parametrize("whole", [
    {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "category_id": 2}], "categories": []},
    {"data": [{"title": "x", "paragraphs": []}], "version": "1.1"},
    {"shapes": [], "imagePath": "a.jpg"}, {"rasa_nlu_data": {"common_examples": []}}])
def test_other_tasks_are_refused_by_name(file: File, settings: Settings, whole: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="not a table of rows with one label each") as caught:
        checked(file("t.json", json.dumps(whole)), settings)
    assert caught.value.why and caught.value.remedy


def test_ordinary_columns_are_no_bookkeeping() -> None:
    assert not roles.bookkeeping(["text", "label", "project", "meta", "answer", "task", "annotator"])


def test_names_of_pictures_are_no_texts(file: File, settings: Settings) -> None:
    own = {"annotator": 1, "lead_time": 1.5}
    rows = [{"id": i, "image": f"/data/upload/1/ab{i}-photo.JPG", "choice": row["label"], "annotation_id": i, **own}
            for i, row in enumerate(ROWS)]
    with pytest.raises(DataError, match="looks like the text"):
        checked(file("t.json", json.dumps(rows)), settings)
