"""Read = kept + left out, for the rows of the file itself: counted by readers that are not Thaw's."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest

from core.data.check import Options, check_file
from core.settings import Settings

WORDS = ("the match", "two goals", 'he said "no"', "shares; fell", "on, the exchange", "rain | wind", '5" nails',
         "it's", "über", "#tag", "C:\\new", "", "N/A")


def rows(seed: int, n: int = 300) -> list[list[str]]:
    """Texts with every kind of mark in them, none of a whole line; a few cells are empty."""
    draw = random.Random(seed)
    labels = ("sport", "money", "rain", "")
    return [[" ".join(draw.choices(WORDS, k=draw.randrange(1, 6))) + f" {i}", draw.choice(labels)] for i in range(n)]


def lines(seed: int, separator: str = ",") -> list[str]:
    """Rows without quoting: a line each, some with more cells than they should, some with a quotation mark left
    open."""
    return [separator.join(row) for row in rows(seed)]


def by_csv(path: Path, skip: int = 1, **options: str) -> int:
    with path.open(newline="", encoding="utf-8") as file:
        return sum(1 for row in csv.reader(file, **options) if row) - skip    # type: ignore[arg-type]


def by_lines(path: Path, skip: int = 1) -> int:
    return sum(1 for line in path.read_bytes().splitlines() if line.strip()) - skip


Made = tuple[Path, int]


def well_formed(home: Path, seed: int, **options: str | int) -> Made:
    path = home / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, **options)                          # type: ignore[arg-type]
        multi = [[text.replace(" two", "\ntwo") + "\n\nYours, Ann", label] for text, label in rows(seed)]
        writer.writerows([["text", "label"], *multi])
    return path, by_csv(path, delimiter=str(options.get("delimiter", ",")))


def unquoted(home: Path, seed: int, separator: str, start: str = "", header: str = "") -> Made:
    path = home / ("t.tsv" if separator == "\t" else "t.csv")
    path.write_text(start + "\n".join([header or separator.join(["text", "label"]), *lines(seed, separator)]),
                    encoding="utf-8")
    return path, by_lines(path) - start.count("\n")


def strays(home: Path, seed: int) -> Made:
    draw, made = (random.Random(seed),
                  [f"{text.replace(chr(34), '').replace(',', '')},{label or 'rain'}" for text, label in rows(seed)])
    for i in draw.sample(range(300), 12):
        made[i] = draw.choice(('"' + made[i], made[i] + '"', made[i].replace(",", ',"'), made[i].replace(",", '",')))
    path = home / "t.csv"
    path.write_text("\n".join(["text,label", *made]), encoding="utf-8")
    return path, by_lines(path)


def joined_files(home: Path, seed: int) -> Made:
    path = home / "t.csv"
    part = "\n".join(["text,label", *(f"plain words {i},{'ab'[i % 2]}" for i in range(50))]) + "\n"
    path.write_text(part * (seed + 2))
    return path, by_lines(path)


def broken_lines(home: Path, seed: int) -> Made:
    draw = random.Random(seed)
    made = [json.dumps({"text": text, "label": label}) for text, label in rows(seed)]
    for i in draw.sample(range(300), 20):
        made[i] = draw.choice((made[i][:-3], "[1, 2]", "{}", "null", '"text"', made[i] + made[i]))
    path = home / "t.jsonl"
    path.write_text("\n".join(made))
    return path, by_lines(path, skip=0)


def workbook(home: Path, seed: int) -> Made:
    book = openpyxl.Workbook()
    for row in [["Survey"], ["text", "label"], *rows(seed), [None, None], ["text", "label"], *rows(seed + 1, 20)]:
        book.active.append(row)
    book.save(home / "t.xlsx")
    sheet = openpyxl.load_workbook(home / "t.xlsx").active
    return home / "t.xlsx", sum(any(cell for cell in row) for row in sheet.iter_rows(values_only=True)) - 2


def parquet(home: Path, seed: int) -> Made:
    pd.DataFrame(rows(seed), columns=["text", "label"]).to_parquet(home / "t.parquet")
    return home / "t.parquet", pq.read_metadata(home / "t.parquet").num_rows


def apart(home: Path, seed: int) -> Made:
    total, path = 0, home / "t.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        for name in ("train.csv", "dev.csv", "test.csv.gz"):
            out = io.StringIO()
            csv.writer(out).writerows([["text", "label"], *rows(seed), ["broken"]])
            total += sum(1 for row in csv.reader(io.StringIO(out.getvalue())) if row) - 1
            bundle.writestr(name, gzip.compress(out.getvalue().encode()) if name.endswith("gz") else out.getvalue())
    return path, total


KINDS: dict[str, Callable[[Path, int], Made]] = {
    "quoted": lambda home, seed: well_formed(home, seed),
    "all quoted": lambda home, seed: well_formed(home, seed, quoting=csv.QUOTE_ALL),
    "semicolons": lambda home, seed: well_formed(home, seed, delimiter=";"),
    "tabs": lambda home, seed: well_formed(home, seed, delimiter="\t"),
    "commas": lambda home, seed: unquoted(home, seed, ","),
    "tabs without quoting": lambda home, seed: unquoted(home, seed, "\t"),
    "bars": lambda home, seed: unquoted(home, seed, "|"),
    "hint": lambda home, seed: unquoted(home, seed, ";", start="sep=;\n"),
    "title": lambda home, seed: unquoted(home, seed, "\t", start="A title\n"),
    "remark above": lambda home, seed: unquoted(home, seed, "\t", start="# made by hand\n"),
    "strays": strays, "joined": joined_files, "JSON Lines": broken_lines, "workbook": workbook, "Parquet": parquet,
    "apart": apart}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_of_the_file_is_kept_or_left_out_by_name(tmp_path: Path, kind: str, seed: int) -> None:
    path, count = KINDS[kind](tmp_path, seed)
    report = check_file(path, settings=Settings(home=tmp_path / "home"), options=Options(thorough=False))
    numbers = [item.row for item in report.left_out]
    assert report.rows_read == count == report.rows_kept + len(numbers), (report.format, report.left_out[:5])
    assert len(set(numbers)) == len(numbers) and all(1 <= number <= count for number in numbers)
    assert all(item.reason for item in report.left_out)
