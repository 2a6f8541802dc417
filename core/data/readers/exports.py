"""What annotation tools export: tasks become rows with the annotator's class; spans and boxes are refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from core.data.readers.json_shapes import Item, kind_of
from core.errors import DataError

_SAMPLE = 50
_CHOSEN = {"choices", "rating"}
"""What Label Studio calls a class of a whole task."""
_PLAIN = (str, int, float, bool)


def unfolded(items: Iterable[Item], *, name: str) -> tuple[Iterable[Item], str]:
    """(the items, as rows where they are tasks of an annotation tool; the tool's name or ""). Raises DataError for
    spans and boxes."""
    source = iter(items)
    ahead = list(islice(source, _SAMPLE))
    objects = [item for item, problem in ahead if not problem and isinstance(item, dict)]
    every = chain(ahead, source)
    if _most(objects,
             lambda task: isinstance(task.get("data"), dict) and ("annotations" in task or "completions" in task)):
        kinds = {str(result.get("type")) for task in objects for result in _results(task)}
        _refuse_spans(name, "Label Studio", kinds - _CHOSEN, bool(kinds & _CHOSEN))
        return _map(every, _label_studio), "Label Studio"
    if _most(objects, lambda task: "_task_hash" in task or "_input_hash" in task):
        classes = any("accept" in task or "label" in task for task in objects)
        _refuse_spans(name, "Prodigy", {"spans"} if any("spans" in task for task in objects) else set(), classes)
        return (_map(every, _prodigy) if classes else every), "Prodigy"
    if _most(objects,
             lambda row: isinstance(row.get("text"), str) and any(_are_spans(row.get(key)) for key in _SPAN_KEYS)):
        _refuse_spans(name, "Doccano", {"spans"}, False)
    return every, ""


_SPAN_KEYS = ("label", "labels", "entities")


def _are_spans(value: Any) -> bool:
    """Whether a value is a list of [start, end, name], or of objects with offsets."""
    return isinstance(value, list) and bool(value) and all(
        (isinstance(item, list) and len(item) == 3 and isinstance(item[0], int) and isinstance(item[1], int))
        or (isinstance(item, dict) and ("start_offset" in item or "start" in item)) for item in value)


def _most(objects: Sequence[dict[str, Any]], test: Callable[[dict[str, Any]], bool]) -> bool:
    return bool(objects) and sum(map(test, objects)) > len(objects) / 2


def _refuse_spans(name: str, tool: str, other: set[str], classes: bool) -> None:
    if other and not classes:
        raise DataError(f"{name} is an export of {tool} that marks parts, not whole texts or pictures.",
                        why=f"Its annotations are of the kind {', '.join(sorted(other))[:80]}; Thaw learns one class a "
                            "text or picture.",
                        remedy="Export a classification project (one choice a task), or a table with one text and "
                               "one label a row.")


def _map(items: Iterable[Item], to_row: Callable[[dict[str, Any]], Item]) -> Iterator[Item]:
    for item, problem in items:
        yield (item, problem) if problem or not isinstance(item, dict) else to_row(item)


def _results(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for annotation in _annotations(task):
        yield from (result for result in annotation.get("result") or () if isinstance(result, dict))


def _annotations(task: dict[str, Any]) -> list[dict[str, Any]]:
    """What people answered to a task of Label Studio, without what they skipped."""
    found = task.get("annotations", task.get("completions"))
    return [a for a in found if isinstance(a, dict) and not a.get("was_cancelled")] if isinstance(found, list) else []


def _label_studio(task: dict[str, Any]) -> Item:
    """The task's data and the class that all its annotators chose, by the name of the question."""
    if not isinstance(task.get("data"), dict):
        return None, f"its part 'data' is a {kind_of(task.get('data'))}, not an object"
    row = {str(key): value for key, value in task["data"].items()}
    answers: dict[str, list[Any]] = {}
    for annotation in _annotations(task):
        for result in annotation.get("result") or ():
            value = result.get("value") if isinstance(result, dict) else None
            if isinstance(value, dict) and ("choices" in value or "rating" in value):
                answers.setdefault(str(result.get("from_name") or "label"),
                                   []).append(value.get("choices", value.get("rating")))
    for question, given in answers.items():
        if any(answer != given[0] for answer in given[1:]):
            return None, f"its annotators disagree about {question[:40]!r}"
        row[question if question not in row else f"{question} (chosen)"] = plain(given[0], unwrap=True)[0]
    return {"id": task.get("id"), **row}, ""


def _prodigy(task: dict[str, Any]) -> Item:
    """The task with the accepted class as `label`; without one where the annotator rejected or ignored it."""
    row = {key: value for key, value in task.items() if key not in ("accept", "options", "config")}
    chosen = task.get("accept", task.get("label"))
    row["label"] = chosen if task.get("answer", "accept") == "accept" else None
    return row, ""


def plain(value: Any, *, unwrap: bool) -> tuple[Any, bool]:
    """(a value without the list around it, whether it is still more than one value): of a label, `["a"]` and
    `{"choices": ["a"]}` are `a`.

    unwrap: whether the column is named like a label.
    """
    if isinstance(value, dict) and set(value) == {"choices"} and isinstance(value["choices"], list):
        value, unwrap = value["choices"], True
    if isinstance(value, list):
        if not value and unwrap:
            return None, False
        if unwrap and len(value) == 1 and (value[0] is None or isinstance(value[0], _PLAIN)):
            return value[0], False
        return value, True
    return value, isinstance(value, dict)
