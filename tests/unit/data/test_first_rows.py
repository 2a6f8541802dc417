"""The preview's look at the beginning of a file: right for every format, and small for large files."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import psutil
import pytest

from core.data import browse, first_rows
from core.domain.dataset import Task
from core.errors import DataError
from core.settings import Settings

N = 40_000
TEXT = "a sentence that is neither very short nor very long, row {}"


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"text": [TEXT.format(i) for i in range(N)], "label": ["ab"[i % 2] for i in range(N)]})


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet", "zip"])
def test_the_first_rows_of_large_files(frame: pd.DataFrame, settings: Settings, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"large.{kind}"
    if kind in ("csv", "tsv"):
        frame.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    elif kind in ("jsonl", "json"):
        frame.to_json(path, orient="records", lines=kind == "jsonl")
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        with zipfile.ZipFile(path, "w") as bundle:
            bundle.writestr("inner/large.csv", frame.to_csv(index=False))
    found = first_rows.read(path, settings=settings)
    assert not found.complete and 100 <= len(found.table) < N
    assert found.table.name == path.name
    preview = browse.preview(path, settings=settings)
    assert preview.roles == {"text": "text", "label": "label"} and not preview.complete
    assert preview.rows[3] == {"text": TEXT.format(3), "label": "b"} and len(preview.rows) == browse.PREVIEW_ROWS


def test_small_files_are_read_whole(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "small.csv"
    path.write_text("text,label\none,a\ntwo,b\n")
    assert first_rows.read(path, settings=settings).complete
    preview = browse.preview(path, settings=settings)
    assert (preview.rows_read, preview.complete, preview.task) == (2, True, Task.TEXT_CLASSIFICATION)


def test_of_a_large_excel_file_the_beginning_is_read(settings: Settings, tmp_path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("rows")
    sheet.append(["text", "label"])
    for i in range(500):
        sheet.append([TEXT.format(i), "ab"[i % 2]])
    book.save(tmp_path / "large.xlsx")
    found = first_rows.read(tmp_path / "large.xlsx", settings=settings)
    assert (len(found.table), found.complete) == (first_rows.HEAD_ROWS, False)
    assert found.table.data.slice(1, 1).to_pylist() == [{"text": TEXT.format(1), "label": "b"}]
    (tmp_path / "bad.xlsx").write_bytes((tmp_path / "large.xlsx").read_bytes()[:4000])
    with pytest.raises(DataError):
        first_rows.read(tmp_path / "bad.xlsx", settings=settings)


@pytest.mark.parametrize("packer", ["csv.gz", "jsonl.gz", "zip of two", "folder of two", "parquet.gz"])
def test_packed_and_joined_tables(frame: pd.DataFrame, settings: Settings, tmp_path: Path, packer: str) -> None:
    path = tmp_path / packer.replace(" ", "-")
    kind = packer.partition(".")[0]
    if packer.endswith(".gz"):
        frame = frame.assign(label=[f"{i % 2}-{i * 7919 % 10007}" for i in range(N)])
        data = {"csv": lambda: frame.to_csv(index=False).encode(), "parquet": lambda: frame.to_parquet(),
                "jsonl": lambda: frame.to_json(orient="records", lines=True).encode()}[kind]()
        path.write_bytes(gzip.compress(data, 1))
    elif packer.startswith("zip"):
        path = path.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as bundle:
            for name in ("train.csv", "test.csv"):
                bundle.writestr(name, frame.to_csv(index=False))
    else:
        path.mkdir()
        for name in ("train.csv", "test.csv"):
            frame.to_csv(path / name, index=False)
    found = first_rows.read(path, settings=settings)
    assert found.complete == (kind == "parquet") and len(found.table) >= 100 and found.table.name == path.name
    assert found.table.data["text"][3].as_py() == TEXT.format(3)
    assert ("split" in found.table.columns) == (not packer.endswith(".gz"))


def test_of_many_text_files_some_are_read(settings: Settings, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as bundle:
        for i in range(2_000):
            bundle.writestr(f"{'pos' if i % 2 else 'neg'}/{i}.txt", f"text {i}")
    found = first_rows.read(tmp_path / "t.zip", settings=settings)
    assert (not found.complete and 100 < len(found.table) < 700 and set(found.table.data["label"].to_pylist())
            == {"pos", "neg"})


def test_picture_archives_are_listed_with_small_pictures(picture: Callable[..., bytes], archive: Callable[..., Path],
                                                         settings: Settings, tmp_path: Path) -> None:
    files = {f"{'cat' if i % 2 else 'dog'}/{i:03}.png": picture(i, size=(200, 100)) for i in range(60)}
    packed = tmp_path / "p.tar.gz"
    with tarfile.open(packed, "w:gz") as bundle:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            bundle.addfile(member, io.BytesIO(data))
    for path in (archive(files), packed):
        preview = browse.preview(path, settings=settings)
        assert ((preview.task, preview.rows_read, preview.roles)
                == (Task.IMAGE_CLASSIFICATION, 60, {"image": "image", "label": "label"}))
        assert set(preview.pictures) == {row["image"] for row in preview.rows}
        assert all(data.startswith(b"\x89PNG") for data in preview.pictures.values())


def test_memory_stays_small(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    line = json.dumps({"text": "word " * 200, "label": "a"}) + "\n"
    with path.open("w") as file:
        for _ in range(100):
            file.write(line * 1_000)                                 # about 100 MB
    before = psutil.Process().memory_info().rss
    browse.preview(path, settings=settings)
    assert psutil.Process().memory_info().rss - before < 60_000_000


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4", b"\x00" * 5_000])
def test_files_that_are_no_tables(settings: Settings, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        browse.preview(path, settings=settings)
    assert caught.value.what and caught.value.remedy
