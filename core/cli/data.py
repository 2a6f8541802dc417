"""`core data check`: the import report of a file, before anything is accepted, or of a dataset that is here."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import output, sources
from core.data.report import ImportReport
from core.domain import codec
from core.domain.dataset import Dataset
from core.settings import Settings

if TYPE_CHECKING:
    from core.data.check import Examined, Options

SHOWN = 10
"""Rows left out that are listed for people; `--json` lists all."""
OPTIONS = {"leakage": " --fix-leaks moves them.", "near-leakage": " --fix-leaks moves them.",
           "label-spelling": " --merge-labels does."}
"""code of a finding -> what the command line does about it on the way in."""


def check(args: Namespace, settings: Settings) -> int:
    """Print the report; 0 when the file may be imported, 1 when an error finding keeps it out or it cannot be read."""
    report = _report(args, settings)
    if args.json:
        output.document(codec.to_json(report))
    else:
        _print(report)
    return 1 if report.errors else 0


def _report(args: Namespace, settings: Settings) -> ImportReport:
    """Of a file that is looked at now; of a dataset as its import left it, a bundled one fetched on first use."""
    from core.data import library, meter
    from core.data.check import examine_file

    options = sources.options(args)
    path = Path(args.file).expanduser()
    if not path.exists() and sources.is_dataset(args.file):
        found = sources.dataset(args.file, shift=None, settings=settings, workspace=args.workspace)
        return _with_tokens(library.read_report(found, settings=settings, workspace=args.workspace),
                            lambda: _rows_of(found, args, settings), args, settings)
    line = output.ProgressLine(f"{path.name}:")
    if args.shift_of:
        with meter.watched(line.amount):
            report = _as_shift_set(path, args, options, settings)
        line.done("checked")
        return report
    with meter.watched(line.amount):
        examined = examine_file(path, wanted=sources.wanted(args), settings=settings, options=options)
    line.done("checked")
    return _with_tokens(examined.report, lambda: _rows(examined), args, settings)


def _with_tokens(report: ImportReport, rows: Callable[[], dict[str, Any]], args: Namespace,
                 settings: Settings) -> ImportReport:
    """With the tokens of rows for a language model, where a base model is named or a bundled one is here."""
    from core.models import catalogue, facts

    here = (entry.id for entry in catalogue.MODELS if any(not task.labelled for task in entry.tasks)
            and facts.read(entry.id, settings) is not None)
    name = args.model or next(here, None)
    if not report.shape or not report.rows_kept or name is None:
        return report
    return dataclasses.replace(report, tokens=_tokens(rows(), name, settings))


def _tokens(rows: dict[str, Any], model: str, settings: Settings) -> dict[str, int]:
    """Tokens of all rows under a base model (id or folder), of which only the tokenizer is read."""
    from core.data.check import Options
    from core.models import fetch
    from core.tasks import token_totals

    line = output.ProgressLine(f"{model}:")
    folder = fetch.ensure_model(sources.id_of_model(model), settings=settings, progress=line.bytes)
    found = token_totals.count(**rows, model=folder, limit=Options().max_length, cache=settings.cache)
    line.done("tokens counted")
    return found


def _rows(examined: Examined) -> dict[str, Any]:
    from core.data.ingest import content_hash

    found = examined.rows
    return {"content": found.text.to_pylist(), "groups": found.group, "shape": found.shape,
            "digest": content_hash(found, examined.split)}


def _rows_of(dataset: Dataset, args: Namespace, settings: Settings) -> dict[str, Any]:
    from core.data import library

    table = library.read_rows(dataset, settings=settings, workspace=args.workspace)
    return {"content": table["text"].to_pylist(), "shape": dataset.shape, "digest": dataset.content_hash,
            "groups": table["group"].to_numpy() if "group" in table.column_names else None}


def _as_shift_set(path: Path, args: Namespace, options: Options, settings: Settings) -> ImportReport:
    """The report of a file as the shift set of a dataset; nothing is attached."""
    import tempfile

    from core.data import attach, ingest, library, shapes, tables
    from core.data.check import examine

    base = library.load(args.shift_of, settings=settings, workspace=args.workspace)
    table = tables.read(path, settings=settings)
    chosen = shapes.choose(table, sources.wanted(args).like(base))
    depth = base.reading.depth if base.reading else None
    examined = examine(table, roles=chosen.roles, settings=settings, why=chosen.why,
                       options=dataclasses.replace(options, thorough=False, depth=depth))
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        other = ingest.write(examined, name=path.stem, folder=Path(temporary), source=path.name)
        places = (library.folder(base, settings=settings, workspace=args.workspace), Path(temporary) / other.id)
        return attach.report(other, attach.look(base, other, places=places), places[1])


def _print(report: ImportReport) -> None:
    print(f"{report.source}: read as {report.format or 'a table'}")
    print(f"{report.rows_read:,} rows read = {report.rows_kept:,} kept + {len(report.left_out):,} left out")
    for item in report.left_out[:SHOWN]:
        print(f"  row {item.row}{f' ({item.file})' if item.file else ''}: {item.reason}")
    if len(report.left_out) > SHOWN:
        print(f"  … and {len(report.left_out) - SHOWN:,} more (--json lists all)")
    print("\n" + output.table(["column", "role", "why"],
                              [[n, role, report.evidence.get(n, "")] for n, role in report.columns.items()]))
    if report.shape:
        what = "conversations" if report.shape == "chat" else "passages of text"
        print(f"\nrows for a language model: {what}, because {report.shape_evidence or 'the columns say so'}"
              + (f"; {report.groups:,} groups that no split cuts" if report.groups else ""))
        if report.passages:
            print(f"{report.rows_kept:,} documents became {report.passages:,} passages")
        if report.tokens:
            print("tokens: " + ", ".join(f"{name} {count:,}" for name, count in report.tokens.items()))
    else:
        print("\n" + output.table(["class", "rows"], [[name, f"{count:,}"] for name, count in report.classes.items()]))
    if report.splits:
        print("\n" + output.table(["split", "rows"],
                                  [[name, f"{sum(counts.values()):,}"] for name, counts in report.splits.items()]))
    print()
    for finding in report.findings:
        print(f"{finding.severity}: {finding.message}{f' For example: {finding.example}' if finding.example else ''}")
        print(f"  What to do: {finding.remedy}{OPTIONS.get(finding.code, '')}")
    if not report.findings:
        print("Nothing to object to.")
