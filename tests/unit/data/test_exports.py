"""Tasks of annotation tools as rows: the class that a person chose, and what is no class of a whole text."""

from __future__ import annotations

from typing import Any

import pytest

from core.data.readers import exports
from core.errors import DataError


def rows(tasks: list[Any]) -> tuple[list[tuple[Any, str]], str]:
    found, tool = exports.unfolded([(task, "") for task in tasks], name="t.jsonl")
    return list(found), tool


def prodigy(**more: Any) -> dict[str, Any]:
    return {"text": "a", "_task_hash": 1, "options": [{"id": "x"}], "config": {"choice": 1}, **more}


@pytest.mark.parametrize(("task", "label"), [
    (prodigy(accept=["x"], answer="accept"), ["x"]), (prodigy(accept=["x"]), ["x"]), (prodigy(label="x"), "x"),
    (prodigy(accept=["x"], answer="reject"), None), (prodigy(accept=["x"], answer="ignore"), None),
])
def test_a_task_of_prodigy_has_the_class_that_was_accepted(task: dict[str, Any], label: Any) -> None:
    found, tool = rows([task])
    assert tool == "Prodigy" and found[0][1] == "" and found[0][0]["label"] == label
    assert set(found[0][0]) <= {"text", "_task_hash", "label", "answer"}


def test_tasks_of_prodigy_without_classes_stay_as_they_are() -> None:
    task = {"text": "a", "_input_hash": 1, "options": []}
    assert rows([task]) == ([(task, "")], "Prodigy")


def test_spans_of_prodigy_and_doccano_are_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"t\.jsonl is an export of Prodigy that marks parts") as caught:
        rows([{"text": "a", "_task_hash": 1, "spans": []}])
    assert "of the kind spans;" in caught.value.why
    assert rows([prodigy(accept=["x"], spans=[])])[1] == "Prodigy", "beside classes they are of no account"
    for spans in ([[0, 1, "x"]], [{"start_offset": 0, "end_offset": 1}], [{"start": 0}]):
        for key in ("label", "labels", "entities"):
            with pytest.raises(DataError, match="Doccano"):
                rows([{"text": "a", key: spans}])


@pytest.mark.parametrize("value", [["x"], [], [[0, 1]], [["a", "b", "c"]], [[0, 1, "x"], "y"], "x", [{"name": "x"}]])
def test_other_lists_are_no_spans(value: Any) -> None:
    assert rows([{"text": "a", "labels": value}]) == ([({"text": "a", "labels": value}, "")], "")


def test_half_of_the_rows_do_not_make_an_export() -> None:
    tasks = [prodigy(accept=["x"]), {"text": "b"}]
    assert rows(tasks) == ([(task, "") for task in tasks], "")
    assert rows([]) == ([], "")


def studio(*answers: Any, **more: Any) -> dict[str, Any]:
    results = [[{"type": "choices", "from_name": "mood", "value": {"choices": [answer]}}] for answer in answers]
    return {"id": 7, "data": {"text": "a"}, "annotations": [{"result": result} for result in results], **more}


def test_a_task_of_label_studio() -> None:
    assert rows([studio("x", "x")])[0] == [({"id": 7, "text": "a", "mood": "x"}, "")]
    assert rows([studio("x", data={"mood": "of the day"})])[0][0][0] == {"id": 7, "mood": "of the day",
                                                                        "mood (chosen)": "x"}
    skipped = studio("x", "y")
    skipped["annotations"][1]["was_cancelled"] = True
    assert rows([skipped])[0][0][0]["mood"] == "x"
    assert rows([studio("x", "y")])[0] == [(None, "its annotators disagree about 'mood'")]
    rated = studio()
    rated["annotations"] = [{"result": [{"type": "rating", "value": {"rating": 4}}]}]
    assert rows([rated])[0][0][0] == {"id": 7, "text": "a", "label": 4}
    old = {"data": {"text": "a"}, "completions": studio("x")["annotations"]}
    assert rows([old])[0][0][0]["mood"] == "x"
    found, _ = rows([studio("x"), studio("x"), {"data": ["a"], "annotations": []}, "no object"])
    assert found[2:] == [(None, "its part 'data' is a list, not an object"), ("no object", "")]


@pytest.mark.parametrize(("value", "unwrap", "found"), [
    (["a"], True, ("a", False)), (["a"], False, (["a"], True)), ({"choices": ["a"]}, False, ("a", False)),
    ([], True, (None, False)), ([], False, ([], True)), (["a", "b"], True, (["a", "b"], True)),
    ([None], True, (None, False)), ([["a"]], True, ([["a"]], True)), ("a", True, ("a", False)),
    ({"choices": ["a"], "more": 1}, True, ({"choices": ["a"], "more": 1}, True)),
])
def test_a_label_without_the_list_around_it(value: Any, unwrap: bool, found: tuple[Any, bool]) -> None:
    assert exports.plain(value, unwrap=unwrap) == found
