"""Parquet columns of every type: text, or set aside with the reason."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.data import tables
from core.data.check import check_file
from core.errors import DataError
from core.settings import Settings

N = 40
TEXTS = [f"a sentence of its own, number {i}" for i in range(N)]
LABELS = [("sport", "money")[i % 2] for i in range(N)]
ID = uuid.UUID(int=7)
MOMENT = datetime.datetime(2024, 1, 2, 3, 4, 5)


def saved(tmp_path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table({"text": TEXTS, "label": LABELS, **columns}), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


PLAIN: list[tuple[str, Any, str]] = [
    ("half floats", pa.array(np.full(N, 2.5, dtype=np.float16)), "2.5"),
    ("whole half floats", pa.array(np.full(N, 2, dtype=np.float16)), "2"),
    ("uuids", pa.array([ID.bytes] * N, type=pa.uuid()), str(ID)),
    ("decimals", pa.array([decimal.Decimal("1.50")] * N), "1.50"),
    ("large decimals", pa.array([decimal.Decimal("1.50")] * N, type=pa.decimal256(50, 2)), "1.50"),
    ("an unknown zone", pa.array([MOMENT] * N, type=pa.timestamp("us", tz="Mars/Olympus")), "2024-01-02 03:04:05"),
    ("a zone", pa.array([MOMENT] * N, type=pa.timestamp("ns", tz="Europe/Berlin")), "2024-01-02 03:04:05"),
    ("moments", pa.array([MOMENT] * N), "2024-01-02 03:04:05"), ("days", pa.array([MOMENT.date()] * N), "2024-01-02"),
    ("times", pa.array([MOMENT.time()] * N), "03:04:05"),
    ("durations", pa.array([datetime.timedelta(seconds=1)] * N), "1"), ("truth", pa.array([True] * N), "true"),
    ("dictionary", pa.array(["x"] * N).dictionary_encode(), "x"),
    ("dictionary of numbers", pa.array([3] * N).dictionary_encode(), "3"),
    ("large text", pa.array(["x"] * N, type=pa.large_string()), "x"), ("text views",
                                                                       pa.array(["x"] * N, type=pa.string_view()), "x"),
    ("text as bytes", pa.array([b"x\xc3\xbc"] * N), "xü"),
    ("JSON", pa.array(['{"a": 1}'] * N, type=pa.json_()), '{"a": 1}'),
    ("big numbers", pa.array([2**63 + 1] * N, type=pa.uint64()), str(2**63 + 1)),
]
ASIDE: list[tuple[str, Any]] = [
    ("lists", pa.array([["a", "b"]] * N)), ("wide structs", pa.array([{f"a{k}": 1 for k in range(40)}] * N)),
    ("maps", pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64()))),
    ("bytes", pa.array([b"\x00\xff\x01"] * N)), ("fixed bytes", pa.array([b"abcd"] * N, type=pa.binary(4))),
    ("lists of structs", pa.array([[{"a": {"b": [1]}}]] * N)),
    ("pictures", pa.array([{"bytes": b"\x89PNG", "path": "a.png"}] * N)),
]


@pytest.mark.parametrize(("column", "says"), [case[1:] for case in PLAIN], ids=[case[0] for case in PLAIN])
def test_types_that_become_text(tmp_path: Path, settings: Settings, column: Any, says: str) -> None:
    path = saved(tmp_path, other=column)
    cells = tables.read(path, settings=settings).data["other"].to_pylist()
    assert len(cells) == N and all(cell.startswith(says) for cell in cells), cells[0]
    assert check_file(path, settings=settings).classes == {"money": 20, "sport": 20}


@pytest.mark.parametrize("column", [case[1] for case in ASIDE], ids=[case[0] for case in ASIDE])
def test_types_that_are_set_aside(tmp_path: Path, settings: Settings, column: Any) -> None:
    table = tables.read(saved(tmp_path, other=column), settings=settings)
    assert set(table.unusable) == {"other"} and table.columns == ("text", "label") and len(table) == N
    assert check_file(tmp_path / "t.parquet", settings=settings).columns["other"] == "ignore"


def test_label_and_text_may_be_of_such_types_too(tmp_path: Path, settings: Settings) -> None:
    halves = pa.array(np.asarray([1.0, 2.0] * 20, dtype=np.float16))
    pq.write_table(pa.table({"text": pa.array([t.encode() for t in TEXTS]), "label": halves}), tmp_path / "t.parquet")
    assert check_file(tmp_path / "t.parquet", settings=settings).classes == {"1": 20, "2": 20}


def test_texts_that_are_not_utf8_are_read_and_named(tmp_path: Path, settings: Settings) -> None:
    raw = [b"caf\xe9 number %d" % i if i < 3 else TEXTS[i].encode() for i in range(N)]
    offsets = np.cumsum([0, *map(len, raw)]).astype(np.int32)
    broken = pa.Array.from_buffers(pa.string(), N, [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(raw))])
    pq.write_table(pa.table({"text": broken, "label": LABELS}), tmp_path / "t.parquet")
    table = tables.read(tmp_path / "t.parquet", settings=settings)
    assert table.data["text"][0].as_py() == "café number 0" and len(table) == N
    assert [(finding.code, finding.count) for finding in table.findings] == [("mixed-encodings", 3)]


def test_class_names_and_names_with_blanks(tmp_path: Path, settings: Settings) -> None:
    info = {"info": {"features": {" label ": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}
    table = pa.table({"text": TEXTS,
                      " label ": [i % 2 for i in range(N)]}).replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "t.parquet")
    assert check_file(tmp_path / "t.parquet", settings=settings).classes == {"neg": 20, "pos": 20}


def test_damage_is_told_in_words(tmp_path: Path, settings: Settings) -> None:
    good = saved(tmp_path, other=pa.array(range(N))).read_bytes()
    for damaged in (good[:100], good[:-4], good[:200] + bytes(200) + good[400:], b"PAR1" + good[8:]):
        (tmp_path / "bad.parquet").write_bytes(damaged)
        with pytest.raises(DataError) as caught:
            tables.read(tmp_path / "bad.parquet", settings=settings)
        assert caught.value.why and caught.value.remedy


@pytest.mark.parametrize("note", [b"broken", b"[]", b'{"info": {"features": {"label": "int"}}}'])
def test_notes_of_other_tools_do_no_harm(tmp_path: Path, settings: Settings, note: bytes) -> None:
    table = pa.table({"text": TEXTS, "label": [i % 2 for i in range(N)]}).replace_schema_metadata({"huggingface": note})
    pq.write_table(table, tmp_path / "t.parquet")
    found = tables.read(tmp_path / "t.parquet", settings=settings)
    assert found.data["label"].to_pylist()[:2] == ["0", "1"] and found.format == "Parquet"
