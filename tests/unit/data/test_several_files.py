"""Compressed tables, tables in archives, and train and test apart."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from core.data import several_files, tables
from core.data.check import check_file
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
FRAME = pd.DataFrame({"text": [f"a sentence of its own, number {i}" for i in range(60)],
                      "label": ["sport", "money"] * 30})
TRAIN, TEST = FRAME[:40], FRAME[40:]


def compressed(data: bytes, kind: str) -> bytes:
    if kind == "zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        return bytes(sink.getvalue())
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[kind](data)


def as_bytes(frame: pd.DataFrame, kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "parquet":
        frame.to_parquet(out)
    elif kind == "xlsx":
        frame.to_excel(out, index=False)
    elif kind == "jsonl":
        out.write(frame.to_json(orient="records", lines=True).encode())
    elif kind == "json":
        out.write(frame.to_json(orient="records").encode())
    else:
        out.write(frame.to_csv(index=False, sep="\t" if kind == "tsv" else ",").encode())
    return out.getvalue()


def packed(path: Path, files: Mapping[str, bytes]) -> Path:
    """A ZIP, a tar or a folder with these files, as the path's ending says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as bundle:
            for name, data in files.items():
                bundle.writestr(name, data)
    elif path.suffix == ".tgz":
        with tarfile.open(path, "w:gz") as bundle:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                bundle.addfile(member, io.BytesIO(data))
    else:
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return path


PLACES = ["t.zip", "t.tgz", "t"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet", "xlsx"])
@pytest.mark.parametrize("packer", ["gz", "bz2", "xz", "zst"])
def test_compressed_tables(file: File, settings: Settings, kind: str, packer: str) -> None:
    for name in (f"rows.{kind}.{packer}", f"rows.{kind}"):           # with its ending, or misnamed
        table = tables.read(file(name, compressed(as_bytes(FRAME, kind), packer)), settings=settings)
        assert table.name == name and table.data.to_pylist() == FRAME.to_dict("records")


@pytest.mark.parametrize("packer", ["gz", "bz2", "xz", "zst"])
def test_damaged_and_growing_files_are_refused(file: File, settings: Settings, packer: str) -> None:
    good = compressed(as_bytes(FRAME, "csv"), packer)
    for damaged in (good[:-9], good[: len(good) // 2], good[:20]):
        with pytest.raises(DataError, match="cannot be unpacked"):
            tables.read(file(f"rows.csv.{packer}", damaged), settings=settings)
    bomb = compressed(b"text,label\n" + b"a" * 60_000_000, packer)
    with pytest.raises(DataError) as caught:
        tables.read(file(f"rows.csv.{packer}", bomb), settings=settings)
    assert "200 times" in caught.value.why
    with pytest.raises(DataError, match="compressed twice"):
        tables.read(file(f"rows.csv.{packer}.{packer}", compressed(good, packer)), settings=settings)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("train", "test"), [
    ("train.csv", "test.csv"), ("Train.csv", "TEST.csv"), ("sst2-train.tsv", "sst2-dev.tsv"),
    ("x_train.csv.gz", "x_test.csv.gz"), ("data/training.jsonl", "data/validation.jsonl"),
    ("train/rows.json", "test/rows.json"), ("train-0-of-1.parquet", "test-0-of-1.parquet"),
    ("trainset.xlsx", "testset.xlsx"), ("train.csv", "test.jsonl")])
def test_train_and_test_apart(tmp_path: Path, settings: Settings, place: str, train: str, test: str) -> None:
    def data(frame: pd.DataFrame, name: str) -> bytes:
        kind = name.removesuffix(".gz").rpartition(".")[2]
        return gzip.compress(as_bytes(frame, kind)) if name.endswith(".gz") else as_bytes(frame, kind)

    path = packed(tmp_path / place, {train: data(TRAIN, train), test: data(TEST, test), "README.md": b"about"})
    report = check_file(path, settings=settings)
    held_out = "validation" if "dev" in test or "valid" in test else "test"
    assert (report.rows_read, report.rows_kept, report.columns["split"]) == (60, 60, "split")
    assert sum(report.splits[held_out].values()) == 20
    assert "joined-files" in {finding.code for finding in report.findings}


def test_three_parts_and_shards(tmp_path: Path, settings: Settings) -> None:
    parts = {"train-0.csv": FRAME[:20], "train-1.csv": FRAME[20:40], "valid.csv": FRAME[40:50], "test.csv": FRAME[50:]}
    files = {name: as_bytes(frame, "csv") for name, frame in parts.items()}
    report = check_file(packed(tmp_path / "t.zip", files), settings=settings)
    assert ({name: sum(counts.values()) for name, counts in report.splits.items()}
            == {"train": 40, "validation": 10, "test": 10})
    shards = tables.read(packed(tmp_path / "u.zip", {name: files[name] for name in ("train-0.csv", "train-1.csv")}),
                         settings=settings)
    assert shards.columns == ("text", "label") and shards.data.to_pylist() == TRAIN.to_dict("records")


def test_a_contest_without_test_labels(tmp_path: Path, settings: Settings) -> None:
    path = packed(tmp_path / "t.zip", {"train.csv": as_bytes(TRAIN, "csv"), "test.csv": as_bytes(TEST[["text"]], "csv"),
                                       "sample_submission.csv": b"id,label\n1,sport\n"})
    report = check_file(path, settings=settings)
    assert (report.rows_read, report.rows_kept) == (60, 40)
    assert ({(item.row, item.reason) for item in report.left_out}
            == {(row, "the label is empty") for row in range(41, 61)})
    found = {finding.code: finding for finding in report.findings}
    assert "'label'" in found["columns-missing"].message and "sample_submission.csv" in found["unused-files"].example
    assert all(sum(report.splits[split].values()) for split in ("train", "validation", "test"))


def test_rows_left_out_of_a_part_name_their_file(tmp_path: Path, settings: Settings) -> None:
    path = packed(tmp_path / "t.zip", {"train.csv": as_bytes(TRAIN, "csv"), "test.csv": b"text,label\none,a\nbroken\n"})
    table = tables.read(path, settings=settings)
    assert (table.rows_read, [(item.row, item.file) for item in table.left_out]) == (42, [(42, "test.csv, row 2")])
    assert table.row_numbers.tolist() == list(range(1, 42))


def test_tables_that_cannot_be_told_apart_are_refused(tmp_path: Path, settings: Settings) -> None:
    for number, files in enumerate(({"a.csv": as_bytes(TRAIN, "csv"), "b.csv": as_bytes(TEST, "csv")},
                  {"train.csv": as_bytes(TRAIN, "csv"), "test.csv": b"one,two\n1,2\n3,4\n"})):
        with pytest.raises(DataError) as caught:
            tables.read(packed(tmp_path / f"{number}.zip", files), settings=settings)
        assert "train" in caught.value.remedy or "same names" in caught.value.remedy


def test_a_split_column_of_the_files_own_stays(tmp_path: Path, settings: Settings) -> None:
    mine = {"train.csv": as_bytes(TRAIN.assign(split="a"), "csv"), "test.csv": as_bytes(TEST.assign(split="b"), "csv")}
    assert (tables.read(packed(tmp_path / "t.zip", mine), settings=settings).columns
            == ("text", "label", "split", "split of the file"))


@pytest.mark.parametrize("place", PLACES)
def test_one_table_in_an_archive_or_folder(tmp_path: Path, settings: Settings, place: str) -> None:
    path = packed(tmp_path / place,
                  {"data/rows.csv": as_bytes(FRAME, "csv"), "license.txt": b"free", "notes/readme.txt": b"about"})
    assert tables.read(path, settings=settings).data.to_pylist() == FRAME.to_dict("records")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("stray", ["index.csv", "pos/labels.csv", "meta.json"])
def test_a_table_beside_folders_of_texts_is_counted(tmp_path: Path, settings: Settings, place: str, stray: str) -> None:
    texts = {f"{label}/{i}.txt": f"a text of its own {i}".encode() for i in range(20) for label in ("pos", "neg")}
    table = tables.read(packed(tmp_path / place, {**texts, stray: b"file,label\n1.txt,pos\n"}), settings=settings)
    assert table.rows_read == 41 == len(table) + 1 and table.by_folder


def test_archives_inside_archives_stay_closed(tmp_path: Path, settings: Settings) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as bundle:
        bundle.writestr("rows.csv", as_bytes(FRAME, "csv"))
    for name in ("t.zip", "t.tgz"):
        with pytest.raises(DataError, match="inside another"):
            tables.read(packed(tmp_path / name, {"rows.csv": inner.getvalue()}), settings=settings)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(inner.getvalue()))
    with pytest.raises(DataError, match="inside another"):
        tables.read(tmp_path / "t.csv.gz", settings=settings)


def test_what_a_name_says() -> None:
    said = {"train.csv": "train", "a/b/test/rows.csv": "test", "my-dev-set.tsv": "validation", "train_test.csv": "",
            "rows.csv": "", "testing/part-1.jsonl": "test", "reviews.train.csv": "train", "a.test.v2.csv.gz": "test",
            "contest.csv": "", "VAL.parquet": "validation"}
    assert {name: several_files.split_of(name) for name in said} == said
    assert several_files.plan(["a.csv", "b.csv"]) == () and several_files.plan(["b.csv"]) == (("b.csv", ""),)
    assert several_files.plan(["test.csv", "train.csv"]) == (("train.csv", "train"), ("test.csv", "test"))


def test_columns_spelled_in_another_case_are_the_same(tmp_path: Path, settings: Settings) -> None:
    other = TEST.rename(columns={"text": "Text", "label": "LABEL "})
    path = packed(tmp_path / "t.zip", {"train.csv": as_bytes(TRAIN, "csv"), "test.csv": as_bytes(other, "csv")})
    table = tables.read(path, settings=settings)
    assert table.columns == ("text", "label", "split") and table.data["text"].null_count == 0
