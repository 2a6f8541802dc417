"""Damaged files of every kind: an import with a true count, or three parts; never another exception.

`THAW_FUZZ=5000` tries more of them than a test run has time for; `THAW_FUZZ_SEED` begins elsewhere.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.data import browse
from core.data.check import Options, check_file
from core.errors import ThawError
from core.settings import Settings

N = 40
FRAME = pd.DataFrame({"text": [f'a sentence, "number" {i} ü' for i in range(N)], "label": ["sport", "money"] * (N // 2),
                      "id": range(N)})
CASES = int(os.environ.get("THAW_FUZZ", "12"))
SEED = int(os.environ.get("THAW_FUZZ_SEED", "0"))


def parquet() -> bytes:
    out, moment = io.BytesIO(), pd.Timestamp("2024-01-01", tz="Europe/Berlin")
    frame = FRAME.assign(at=moment, part=FRAME["label"].astype("category"), tags=[["a"]] * N)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), out)
    return out.getvalue()


def xlsx() -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in [["text", "label"], *FRAME[["text", "label"]].to_numpy().tolist()]:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes], mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as bundle:             # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            bundle.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


CSV = FRAME.to_csv(index=False).encode()
TEXTS = {f"{label}/{i}.txt": f"text {i} café".encode("latin-1") for i in range(8) for label in ("pos", "neg")}
LINES = FRAME.to_json(orient="records", lines=True).encode()
KINDS: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: CSV, "a.tsv": lambda: FRAME.to_csv(index=False, sep="\t").encode("cp1252"),
    "a.txt": lambda: FRAME.to_csv(index=False, sep=" ", quoting=csv.QUOTE_ALL).encode(),
    "u.csv": lambda: CSV.decode().encode("utf-16"), "a.jsonl": lambda: LINES,
    "a.json": lambda: FRAME.to_json(orient="records").encode(),
    "s.json": lambda: FRAME.to_json(orient="split").encode(),
    "c.json": lambda: FRAME.to_json(orient="columns").encode(),
    "p.jsonl": lambda: "\n".join(json.dumps({"text": t, "accept": [v], "answer": "accept", "_task_hash": 1})
                                 for t, v in zip(FRAME["text"], FRAME["label"], strict=True)).encode(),
    "l.json": lambda: json.dumps([{"data": {"text": t},
                                   "annotations": [{"result": [{"type": "choices", "from_name": "x", "value": {
                                       "choices": [v]}}]}]} for t, v in zip(FRAME["text"], FRAME["label"],
                                                                            strict=True)]).encode(),
    "a.parquet": parquet, "b.parquet": parquet, "a.pq": parquet, "a.xlsx": xlsx, "b.xlsx": xlsx, "x.zip": xlsx,
    "a.zip": lambda: zipped({"rows.csv": CSV}), "l.zip": lambda: zipped({"rows.csv": CSV}, zipfile.ZIP_LZMA),
    "b.zip": lambda: zipped({"rows.csv": CSV}, zipfile.ZIP_BZIP2), "t.zip": lambda: zipped(TEXTS),
    "s.zip": lambda: zipped({"train.csv": CSV, "test.jsonl": LINES}), "a.tar": lambda: tarred(TEXTS, "w"),
    "a.tgz": lambda: tarred({"rows.csv": CSV}, "w:gz"), "x.tar": lambda: tarred(TEXTS, "w:xz"),
    "a.csv.gz": lambda: gzip.compress(CSV), "a.csv.xz": lambda: lzma.compress(CSV), "a.csv.zst": lambda: zstd(CSV),
    "a.parquet.gz": lambda: gzip.compress(parquet())}


def damaged(data: bytes, draw: random.Random) -> bytes:
    """The bytes with a few flipped, a piece cut out, repeated, overwritten or swapped with others."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        at, length = draw.randrange(max(1, len(out))), draw.choice((1, 1, 4, 30, 300))
        kind = draw.randrange(6)
        if kind == 0:
            out[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del out[at : at + length]
        elif kind == 2:
            out[at:at] = out[at : at + length]
        elif kind == 3:
            out[at : at + length] = draw.randbytes(length)
        elif kind == 4:
            out[at:at] = draw.choice((b'"', b"\n", b"\0", b"\xff", b",", b"\\", b"\xc3", b"[" * 50, b"</row>",
                                      b"9" * 30))
        elif draw.random() < 0.3:
            del out[at:]
    return bytes(out)


def tried(path: Path, settings: Settings) -> str:
    """"" where the file was imported with a true count, or refused in three parts; otherwise what went wrong."""
    quick = Options(thorough=False)
    for look in (lambda: check_file(path, settings=settings, options=quick),
                 lambda: browse.preview(path, settings=settings)):
        try:
            found = look()
        except ThawError as error:
            if not (error.what and error.remedy):
                return f"{path.name}: parts are missing: {error!r}"
        except Exception as error:                                   # the point of this test is that there is none
            return f"{path.name}: {type(error).__name__}: {error}"
        else:
            if hasattr(found, "rows_kept") and found.rows_read != found.rows_kept + len(found.left_out):
                return f"{path.name}: {found.rows_read} read, {found.rows_kept} kept, {len(found.left_out)} left out"
    return ""


@pytest.mark.parametrize("name", KINDS)
def test_damaged_files_end_in_three_parts_or_an_import(tmp_path: Path, name: str) -> None:
    settings = Settings(home=tmp_path / "home")
    good = KINDS[name]()
    (tmp_path / name).write_bytes(good)
    assert check_file(tmp_path / name, settings=settings, label=None).rows_kept > 0, "the undamaged file is imported"
    problems = []
    for case in range(CASES):
        draw = random.Random(f"{name} {SEED} {case}")
        path = tmp_path / f"{case}-{name}"
        path.write_bytes(damaged(good, draw))
        if problem := tried(path, settings):
            problems.append(problem)
        path.unlink()
    assert not problems, "\n".join(problems[:20])
