"""Importing with Thaw against plain `datasets.load_dataset`, on the same generated files, in one run.

    python benchmarks/import_speed.py                       20,000 rows as CSV, JSON Lines and Parquet; 2,000 pictures
    python benchmarks/import_speed.py --large               also 200 MB of CSV and 20,000 pictures through the app, in a
    real browser

Reading and checking are stated separately. Reading a table ends with every row in memory; reading pictures ends with
every picture decoded to RGB pixels (`imagefolder` only lists files when it loads, so each of its pictures is opened
once here). `datasets` gets an empty cache each time; imports of both sides are done before the clock starts. Sides take
turns; what is shown is the median.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import import_large, made_files  # noqa: E402
from core.data import check, tables  # noqa: E402
from core.data import roles as role_finder  # noqa: E402
from core.settings import Settings  # noqa: E402

GOAL = 1.5
"""Most that reading may take, as a multiple of the plain loader's time."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of file. loader: its name in `datasets`."""

    name: str
    loader: str
    path: Path
    rows: int


def main() -> int:
    """Measure, print a Markdown table, write import.json. Exit status 1 when reading misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--pictures", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--large", action="store_true",
                        help="also 200 MB of CSV and 20,000 pictures through the app; needs tests/requirements.txt")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
    with tempfile.TemporaryDirectory(prefix="thaw-bench-") as temporary:
        home = Path(temporary)
        report: dict[str,
                     Any] = {"records": [measure(case, home=home, repeats=args.repeats) for case in _cases(home, args)]}
        if args.large:
            report["large"] = import_large.measure(home)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "import.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    text = markdown(report)
    (args.out / "import.md").write_text(text, encoding="utf-8")
    print(text)
    return 0 if all(record["ratio"] <= GOAL for record in report["records"]) else 1


def _cases(home: Path, args: argparse.Namespace) -> list[Case]:
    print("making the files ...", file=sys.stderr, flush=True)
    made = made_files.tables(home / "tables", rows=args.rows)
    cases = [Case(name=name, loader=loader, path=made[suffix], rows=args.rows)
             for name, loader, suffix in (("CSV", "csv", "csv"), ("JSON Lines", "json", "jsonl"),
                                          ("Parquet", "parquet", "parquet"))]
    folder = made_files.pictures(home / "pictures", count=args.pictures)
    return [*cases, Case(name="pictures", loader="imagefolder", path=folder, rows=args.pictures)]


def measure(case: Case, *, home: Path, repeats: int) -> dict[str, Any]:
    """Median seconds of both sides for one file."""
    settings = Settings(home=home / "thaw", hub=False, max_upload_mb=1_000)
    thaw, checks, plain = [], [], []
    for number in range(repeats + 1):                                # the first round only warms up both sides
        print(f"{case.name} ({number}/{repeats}) ...", file=sys.stderr, flush=True)
        read_s, check_s = _thaw(case, settings)
        plain_s = _timed(lambda: _plain(case, home / "cache"))
        if number:
            thaw, checks, plain = [*thaw, read_s], [*checks, check_s], [*plain, plain_s]
    read, other = statistics.median(thaw), statistics.median(plain)
    return {"kind": case.name, "rows": case.rows, "bytes": _size(case.path), "thaw_read_s": read, "plain_s": other,
            "ratio": read / other, "check_s": statistics.median(checks), "all_thaw_read_s": thaw, "all_plain_s": plain}


def _thaw(case: Case, settings: Settings) -> tuple[float, float]:
    """(seconds of reading, seconds of all checks), as the import report states them."""
    table = tables.read(case.path, settings=settings)
    proposals = role_finder.choose(table)
    report = check.examine(table, roles={n: p.role for n, p in proposals.items()}, settings=settings).report
    if report.rows_kept != case.rows:
        raise RuntimeError(f"{case.name}: {report.rows_kept} of {case.rows} rows were kept")
    return report.read_seconds, report.check_seconds


def _plain(case: Case, cache: Path) -> None:
    """The plain loader; its pictures are opened once, as Thaw opens them."""
    from datasets import load_dataset

    if case.loader == "imagefolder":
        loaded = load_dataset("imagefolder", data_dir=str(case.path), split="train", cache_dir=str(cache))
        for row in loaded:
            row["image"].convert("RGB").load()
    else:
        loaded = load_dataset(case.loader, data_files=str(case.path), split="train", cache_dir=str(cache))
    count = len(loaded)
    shutil.rmtree(cache)
    if count != case.rows:
        raise RuntimeError(f"{case.name}: the plain loader has {count} of {case.rows} rows")


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _size(path: Path) -> int:
    return (path.stat().st_size if path.is_file()
            else sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))


def markdown(report: dict[str, Any]) -> str:
    """The tables for people."""
    lines = ["| file | rows | size | `load_dataset` | Thaw, reading | ratio | Thaw, checks |",
             "|---|---|---|---|---|---|---|"]
    lines += [f"| {r['kind']} | {r['rows']:,} | {r['bytes'] / 1e6:.1f} MB | {r['plain_s']:.2f} s | "
              f"{r['thaw_read_s']:.2f} s | {r['ratio']:.2f}x | {r['check_s']:.2f} s |" for r in report["records"]]
    lines.append(f"\nGoal: reading at most {GOAL}x of the plain loader. Checks: duplicates, leaks, labels, lengths or "
                 "sizes, shortcuts.")
    if "large" in report:
        lines += ["", "| through the app | size | rows | whole import | most the web process grew | progress "
                      "reports seen |",
                  "|---|---|---|---|---|---|"]
        lines += [f"| {r['kind']} | {r['bytes'] / 1e6:.0f} MB | {r['rows']:,} | {r['seconds']:.0f} s | "
                  f"{r['growth_bytes'] / 1e6:.0f} MB | {r['progress_seen']} |" for r in report["large"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
