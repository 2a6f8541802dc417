"""Hostile files are looked at in a process with limits: little memory here, and three parts instead of a fall."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.api import Thaw
from core.data import browse, limited_preview, paste, tables
from core.data.readers import columnar
from core.data.readers.table import MAX_COLUMNS
from core.errors import DataError
from core.settings import Settings

WIDE = 40_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def new_key_a_line(path: Path) -> None:
    path.write_text("\n".join(json.dumps({f"k{i}": "v"}) for i in range(1_700)))


def wide_csv(path: Path) -> None:
    path.write_text("\n".join([",".join(f"c{i}" for i in range(WIDE)), *([",".join(["x"] * WIDE)] * 20)]))


def wide_in_a_few_bytes(path: Path) -> None:
    path.write_text(",".join(f"c{i}" for i in range(9_000)))


def many_small_texts(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as bundle:
        for i in range(20_000):
            bundle.writestr(f"{'pos' if i % 2 else 'neg'}/{i}.txt", "t")


def one_text_a_hundred_thousand_times(path: Path, chars: int = 2_000_000) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, type=pa.int32()), pa.array(["x" * chars]))
    pq.write_table(pa.table({"text": column, "label": pa.array(["a", "b"] * 50_000)}), path)


def lzma_in_a_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as bundle:
        bundle.writestr("rows.csv", "text,label\n" + "".join(f"{os.urandom(500).hex()},a\n" for _ in range(1_500)))


def wide_sheet(path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for _ in range(5):
        sheet.append([f"c{i}" for i in range(4_000)])
    book.save(path)


def deep_json(path: Path) -> None:
    path.write_text('[{"text": ' + "[" * 90_000)


HOSTILE: list[tuple[Callable[[Path], None], str, str]] = [
    (new_key_a_line, "t.jsonl", "more than"), (wide_csv, "t.csv", "more than"),
    (wide_in_a_few_bytes, "t.csv", "more than"), (many_small_texts, "t.zip", ""),
    (one_text_a_hundred_thousand_times, "t.parquet", ""), (lzma_in_a_zip, "t.zip", ""),
    (wide_sheet, "t.xlsx", "more than"), (deep_json, "t.json", "JSON")]

PEAK = """
import resource, sys
from pathlib import Path
from core.data import limited_preview
from core.errors import DataError
from core.settings import Settings
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    found = limited_preview.preview(Path(sys.argv[1]), settings=Settings(home=Path("nowhere")))
    said = f"{len(found.columns)} columns"
except DataError as error:
    assert error.what and error.why and error.remedy
    said = error.what
mine, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(mine - before, child, said, sep="|")
"""


@pytest.mark.parametrize(("make", "name", "says"), HOSTILE, ids=[make.__name__ for make, _, _ in HOSTILE])
def test_hostile_files_take_little_memory(tmp_path: Path, make: Callable[[Path], None], name: str, says: str) -> None:
    make(tmp_path / name)
    done = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path / name)], capture_output=True, text=True,
                          check=True, timeout=200, cwd=Path(__file__).parents[3])
    mine, child, said = done.stdout.strip().split("|", 2)
    assert int(mine) < 120_000 and int(child) < 3_000_000, done.stdout                    # kilobytes
    assert says in said


def test_the_import_of_them_is_bounded_too(settings: Settings, tmp_path: Path) -> None:
    for make, name in ((new_key_a_line, "a.jsonl"), (wide_csv, "b.csv"), (wide_sheet, "c.xlsx")):
        make(tmp_path / name)
        with pytest.raises(DataError, match="columns") as caught:
            tables.read(tmp_path / name, settings=settings)
        assert f"{MAX_COLUMNS:,}" in caught.value.why and caught.value.remedy


def test_a_parquet_file_that_unpacks_to_too_much_is_noticed_in_time(settings: Settings, tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    one_text_a_hundred_thousand_times(tmp_path / "t.parquet", chars=10_000)
    monkeypatch.setattr(columnar, "_MAX_GROWTH_BYTES", 20_000_000)
    with pytest.raises(DataError, match="unpacks to more than"):
        tables.read(tmp_path / "t.parquet", settings=settings)


def test_late_columns_cost_no_more_than_their_cells(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps({f"k{i % 900}": "v", "text": "t"}) for i in range(5_000)))
    table = tables.read(path, settings=settings)
    assert (len(table.columns), len(table)) == (901, 5_000)
    assert table.data["k899"].null_count == 5_000 - 5_000 // 900 and table.data["k0"][0].as_py() == "v"


def test_what_the_other_process_saw_is_what_is_shown(settings: Settings, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\n"
                    + "".join(f"a sentence, number {i}".join('""') + f",{'ab'[i % 2]}\n" for i in range(50)))
    here = browse.preview(path, settings=settings)
    monkeypatch.setattr(limited_preview, "SMALL_BYTES", 0)
    assert limited_preview.preview(path, settings=settings) == here
    path.write_bytes(b"%PDF-1.7 nothing")
    with pytest.raises(DataError, match="a PDF"):
        limited_preview.preview(path, settings=settings)


def test_a_process_that_dies_or_takes_long_is_told_in_words(settings: Settings, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "a,b\n" * 50)
    monkeypatch.setattr(limited_preview, "SMALL_BYTES", 0)
    monkeypatch.setattr(limited_preview, "TIMEOUT_S", 0.01)
    with pytest.raises(DataError, match="takes too long"):
        limited_preview.preview(path, settings=settings)
    monkeypatch.setattr(limited_preview, "TIMEOUT_S", 60.0)
    dies = tmp_path / "dies"
    dies.write_text(f"#!/bin/sh\nkill -{signal.SIGKILL.value} $$\n")
    dies.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dies))
    with pytest.raises(DataError, match="cannot be looked at") as caught:
        limited_preview.preview(path, settings=settings)
    assert "memory" in caught.value.why


def test_a_wide_paste_is_refused_at_once(settings: Settings) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter="\t").writerows([[f"c{i}" for i in range(3_000)], ["x"] * 3_000])
    path = paste.to_file(out.getvalue(), settings=settings, workspace="w" * 22)
    with pytest.raises(DataError, match="columns"):
        Thaw(settings).data.preview(path)


def test_cells_of_wide_tables_are_cut_shorter(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",".join(["text", "label", *(f"c{i}" for i in range(500))]) + "\n"
                    + ("y" * 1_000 + ",a" + ",z" * 500 + "\n") * 20)
    found = browse.preview(path, settings=settings)
    assert len(found.columns) == 502 and all(len(row["text"]) == 201 for row in found.rows)


