"""JSON that holds a table but not as a list of objects, and shapes that are refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from core.data.pictures.source import is_picture
from core.data.readers.chat_json import HOLDERS, listed
from core.data.readers.intents import of_intents
from core.data.readers.table import HEADER_WORDS
from core.data.readers.task_files import of_task
from core.data.several_files import split_of
from core.data.splits import meanings
from core.errors import DataError

Item = tuple[Any, str]
"""(an object, "") or (None, why it is no row)."""

_LEAST_LABELS = 6
"""Entries of an object that may be a class for each."""
_RIGHT = ('Save it as a list of objects, [{"text": "…", "label": "…"}, …], or one object a line: from pandas with '
          'df.to_json("rows.jsonl", orient="records", lines=True).')


def items_of(whole: Any, *, name: str) -> tuple[Iterable[Item], str]:
    """(the rows of a JSON document as objects, what it is). Raises DataError, naming the right export, without rows."""
    if isinstance(whole, list):
        if whole and sum(isinstance(item, str) for item in whole[:50]) > len(whole[:50]) / 2:
            return (({"text": item} if isinstance(item, str) else item, "") for item in whole), "JSON list of texts"
        if whole and sum(isinstance(item, list) for item in whole[:50]) > len(whole[:50]) / 2:
            return from_lists((item, "") for item in whole), "JSON list of lists"
        return ((item, "") for item in whole), "JSON list"
    if isinstance(whole, dict):
        if (found := of_task(whole) or of_intents(whole)) is not None:
            return found
        _refuse_known(whole, name)
        for read in (_of_splits, _of_split_pairs, _of_pictures, _of_pandas):
            if (found := read(whole)) is not None:
                return found
        if (rows := _of_conversations(whole)) is not None:
            return ((row, "") for row in rows), "JSON object"
        if (found := _of_classes(whole) or _of_labels(whole) or _of_part(whole)) is not None:
            return found
    why = f"It holds one {kind_of(whole)}."
    if isinstance(whole, dict):
        lists = [key for key, value in whole.items() if isinstance(value, list)]
        why = "It holds one object" + (f" whose part {lists[0][:40]!r} is a list." if lists else ".")
    raise DataError(f"{name} is not a list of rows.", why=why, remedy=_RIGHT)


def _refuse_known(whole: Mapping[str, Any], name: str) -> None:
    """Raise DataError for documents of tasks that are no classification of whole texts or pictures."""
    known = ((("images", "annotations"), "a COCO export: boxes or outlines in pictures"),
             (("images", "categories"), "a COCO export: boxes or outlines in pictures"),
             (("shapes", "imagePath"), "a LabelMe export: outlines in a picture"),
             (("rasa_nlu_data",), "training data of Rasa"),
             (("nbformat", "cells"), "a notebook"), (("type", "features"), "a map (GeoJSON)"))
    what = next((what for keys, what in known if all(key in whole for key in keys)), None)
    if (what is None and isinstance(data := whole.get("data"), list)
            and any(isinstance(d, dict) and "paragraphs" in d for d in data[:5])):
        what = "a set of questions with answers in a text (SQuAD)"
    if what:
        raise DataError(f"{name} is {what}, not a table of rows with one label each.",
                        why=f"Its parts are {', '.join(repr(str(key)[:30]) for key in list(whole)[:5])}.",
                        remedy="Make a table with one row a text (or picture) and one label, as CSV or JSON Lines, and "
                               "import that file.")


def _of_conversations(whole: Mapping[str, Any]) -> Sequence[Any] | None:
    """The rows of an object that is one conversation, or whose only list holds conversations; None for others."""
    if listed(whole) is not None:
        return [whole]
    lists = [value for value in whole.values() if isinstance(value, list) and value]
    if len(lists) != 1 or not any(listed(item) is not None for item in lists[0][:50]):
        return None
    return [item if isinstance(item, dict) else {HOLDERS[0]: item} for item in lists[0]]


def _of_pandas(whole: Mapping[str, Any]) -> tuple[Iterable[Item], str] | None:
    """What `DataFrame.to_json` (split, table, columns, index) or `to_dict("list")` wrote; None for anything else."""
    columns, data = whole.get("columns"), whole.get("data")
    if (isinstance(columns, list) and isinstance(data, list) and set(whole)
        <= {"columns", "index", "data", "index_names", "column_names"}):
        return _rows(list(map(str, columns)), data), "JSON of pandas (split)"
    if isinstance(data, list) and isinstance(schema := whole.get("schema"), dict) and "fields" in schema:
        return ((item, "") for item in data), "JSON of pandas (table)"
    parts = list(whole.values())
    if (len(parts) > 1 and all(isinstance(part, list) for part in parts) and len({len(part) for part in parts})
        == 1 and parts[0]):
        rows = zip(*parts, strict=True)
        return ((dict(zip(whole, row, strict=True)), "") for row in rows), "JSON, one list a column"
    alike = len(parts) > 1 and all(isinstance(part, dict) and part for part in parts)
    return _of_objects(whole, parts) if alike and all(set(part) == set(parts[0]) for part in parts[1:100]) else None


def _of_splits(whole: Mapping[str, Any]) -> tuple[Iterable[Item], str] | None:
    """Lists of rows named train, test and the like, with a column that says so; None for anything else."""
    meant = meanings(whole)
    if "train" not in meant.values() or len(meant) < len(whole) or not all(map(_are_rows, whole.values())):
        return None
    name = next(name for name in ("split", "split of the file", "split of the file (2)")
                if not any(name in row for rows in whole.values() for row in rows))
    return (({**row, name: meant[key]}, "") for key, rows in whole.items() for row in rows), "JSON, one list a split"


def _of_split_pairs(whole: Mapping[str, Any]) -> tuple[Iterable[Item], str] | None:
    """Lists of pairs of a text and its class, named after splits (CLINC150's `train`, `oos_train`); None for others."""
    meant = {key: split_of(str(key)) for key in whole}
    pairs = [pair for part in whole.values() if isinstance(part, list) for pair in part]
    if (not all(isinstance(part, list) for part in whole.values()) or "train" not in meant.values()
            or not all(meant.values()) or not all(_is_pair(pair) for pair in pairs)):
        return None
    rows = (({"text": text, "label": label, "split": meant[key]}, "") for key, part in whole.items()
            for text, label in part)
    return rows, "JSON, one list a split"


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(cell, str) for cell in value)


def _of_classes(whole: Mapping[str, Any]) -> tuple[Iterable[Item], str] | None:
    """Lists of texts, not equally long, each named after its class; None for anything else."""
    lists = list(whole.values())
    if not _are_lists_of_texts(lists) or len({len(part) for part in lists}) == 1 or any(
            str(key).strip().lower() in HEADER_WORDS for key in whole):
        return None
    rows = (({"text": text, "label": key}, "") for key, part in whole.items() for text in part)
    return rows, "JSON, one list a class"


def _of_pictures(whole: Mapping[str, Any]) -> tuple[Iterable[Item], str] | None:
    """Lists of names of pictures, each named after its class; None for anything else."""
    lists = list(whole.values())
    if not _are_lists_of_texts(lists) or not all(is_picture(name) for part in lists for name in part):
        return None
    rows = (({"file": name, "label": key}, "") for key, part in whole.items() for name in part)
    return rows, "JSON, one list a class"


def _are_lists_of_texts(lists: Sequence[Any]) -> bool:
    return len(lists) > 1 and all(isinstance(part, list) and part and all(isinstance(text, str) for text in part)
                                  for part in lists)


def _of_labels(whole: Mapping[str, Any]) -> tuple[Iterable[Item], str] | None:
    """Each text, picture or id with its class, `{"1.jpg": "cat", …}`; None for anything else, such as settings."""
    kinds, different = set(map(type, whole.values())), len(set(map(str, whole.values())))
    if len(whole) < _LEAST_LABELS or kinds not in ({str}, {int}, {bool}) or not 2 <= different <= len(whole) / 2:
        return None
    name = _called(whole)
    return (({name: key, "label": value}, "") for key, value in whole.items()), "JSON, a class for each"


def _called(keys: Iterable[str]) -> str:
    """The column for keys of an object that are what its rows are about."""
    keys = list(keys)
    return next((name for name, fits in (("file", is_picture), ("text", lambda key: " " in key))
                 if sum(map(fits, keys)) > len(keys) / 2), "id")


def _of_part(whole: Mapping[str, Any], *, deepest: int = 3) -> tuple[Iterable[Item], str] | None:
    """The only list of objects in a document, wherever it lies (`{"data": {"rows": [...]}}`); each row of the hub's
    viewer, `{"row_idx": 0, "row": {...}}`, is what it holds. None where there is none, or several."""
    found = [(path, rows) for path, rows in _lists(whole, deepest=deepest) if len(rows) > 1]
    if len(found) > 1:
        found = [(path, rows) for path, rows in found if path[-1].lower() in ("rows", "data", "records", "items")]
    if len(found) != 1:
        return None
    path, rows = found[0]
    if all(isinstance(row.get("row"), dict) and "row_idx" in row for row in rows):
        rows = [row["row"] for row in rows]
    return ((row, "") for row in rows), f"JSON object, its part {'.'.join(path)[:60]!r}"


def _lists(whole: Mapping[str, Any], *, deepest: int) -> Iterator[tuple[tuple[str, ...], list[dict[str, Any]]]]:
    for key, value in whole.items():
        if isinstance(value, list) and _are_rows(value):
            yield (str(key),), value
        elif isinstance(value, dict) and deepest > 1:
            yield from (((str(key), *path), rows) for path, rows in _lists(value, deepest=deepest - 1))


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) and row for row in value)


def _of_objects(whole: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> tuple[Iterable[Item], str] | None:
    """An object of equal objects: either columns of rows, or rows of columns."""
    inner = list(parts[0])
    if any(isinstance(value, (dict, list)) for part in parts[:20] for value in list(part.values())[:20]):
        return None
    names_inside = any(str(key).strip().lower() in HEADER_WORDS for key in inner)
    names_outside = any(str(key).strip().lower() in HEADER_WORDS for key in whole)
    if names_inside > names_outside or (names_inside == names_outside and len(whole) > len(inner)):
        name = _called(whole)
        if name in inner or all(key.lstrip("-").isdigit() for key in whole):
            return ((part, "") for part in parts), "JSON of pandas (index)"
        return (({name: key, **part}, "") for key, part in whole.items()), "JSON of pandas (index)"
    if not names_outside and not all(key.lstrip("-").isdigit() for key in inner):
        return None
    order = {key: None for part in parts for key in part}
    return (({name: part.get(key) for name, part in whole.items()}, "") for key in order), "JSON of pandas (columns)"


def from_lists(rows: Iterable[Item]) -> Iterator[Item]:
    """Rows that are lists; the first of them names the columns where it looks like it, otherwise these are numbered."""
    names: list[str] | None = None
    for row, problem in rows:
        if not problem and isinstance(row, list) and listed(row) is not None:
            yield {HOLDERS[0]: row}, ""
        elif problem or not isinstance(row, list):
            yield None, problem or f"it is a {kind_of(row)}, not a list like the others"
        elif names is None:
            named = (bool(row) and all(isinstance(cell, str) for cell in row)
                     and any(cell.strip().lower() in HEADER_WORDS for cell in row))
            names = row if named and len(set(row)) == len(row) else [f"column {i}" for i in range(1, len(row) + 1)]
            if names is not row:
                yield dict(zip(names, row, strict=True)), ""
        else:
            yield from _rows(names, [row])


def _rows(names: Sequence[str], rows: Iterable[Any]) -> Iterator[Item]:
    for row in rows:
        if isinstance(row, list) and len(row) == len(names):
            yield dict(zip(names, row, strict=True)), ""
        else:
            cells = f"{len(row):,} cells" if isinstance(row, list) else f"no list but a {kind_of(row)}"
            yield None, f"it has {cells} where there are {len(names):,} columns"


def kind_of(value: Any) -> str:
    """What a JSON value is, in a word."""
    names = {dict: "object", list: "list", str: "text", int: "number", float: "number", bool: "true/false value"}
    return names.get(type(value), "null value")
