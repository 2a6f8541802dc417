"""`core data check`: the import report of a file, before anything is accepted, or of a dataset that is here."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import output, sources
from core.data.report import ImportReport
from core.domain import codec
from core.domain.dataset import Shape
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
        return library.read_report(found, settings=settings, workspace=args.workspace)
    line = output.ProgressLine(f"{path.name}:")
    if args.shift_of:
        with meter.watched(line.amount):
            report = _as_shift_set(path, args, options, settings)
        line.done("checked")
        return report
    with meter.watched(line.amount):
        examined = examine_file(path, wanted=sources.wanted(args), settings=settings, options=options)
    line.done("checked")
    if args.model and examined.rows.shape is not None and len(examined.rows):
        return dataclasses.replace(examined.report, tokens=_tokens(examined, args, settings, options.max_length))
    return examined.report


def _tokens(examined: Examined, args: Namespace, settings: Settings, limit: int) -> dict[str, int]:
    """Tokens of all rows under a base model: taught, context and cut."""
    from core.data.ingest import content_hash
    from core.models import facts, tokens
    from core.tasks import taught_rows, teaching
    from core.tasks.base import Rows

    model = sources.model(args.model, settings=settings, workspace=args.workspace)
    found = examined.rows
    rows = Rows(row_ids=found.row_id, content=found.text.to_pylist(), labels=found.label, splits=examined.split,
                dataset_hash=content_hash(found, examined.split), groups=found.group, shape=found.shape or Shape.TEXT)
    encoded = taught_rows.encode(rows, tokens.load(facts.folder(model.id, settings)), taught=teaching.AUTO,
                                 limit=min(limit, model.max_length), revision=model.revision, cache=settings.cache)
    taught, every = int(encoded.n_taught.sum()), int(encoded.lengths.sum())
    return {"taught": taught, "context": every - taught, "cut": int(encoded.arrays["cut"].sum())}


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
