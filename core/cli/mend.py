"""`core data mend` and `core data undo`: findings of a dataset mended in place, and the way back."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from core.cli import output
from core.data.mends import Step
from core.data.versions import Changes
from core.domain import codec
from core.domain.dataset import Dataset
from core.domain.numbers import Numbers
from core.errors import DataError
from core.settings import Settings


def mend(args: Namespace, settings: Settings) -> int:
    """Carry out what was asked for and say what changed; `--dry-run` only says it."""
    from core.data import library, mending, meter, recheck
    from core.data.found import counts

    dataset = library.load(args.dataset, settings=settings, workspace=args.workspace)
    line = output.ProgressLine(f"{dataset.name}:")
    with meter.watched(line.amount):
        if counts(library.folder(dataset, settings=settings, workspace=args.workspace)) is None:
            recheck.dataset(dataset, settings=settings, workspace=args.workspace)
        steps = _steps(args, dataset, settings)
        changed = mending.preview(dataset, steps, settings=settings, workspace=args.workspace)
        new = dataset
        if not args.dry_run:
            new = mending.mend(dataset, steps, settings=settings, workspace=args.workspace)
    line.done("looked at" if args.dry_run else "mended")
    document = _document(dataset, new, changed)
    if args.json:
        output.document(document)
    else:
        _print(document, changed)
    return 0


def undo(args: Namespace, settings: Settings) -> int:
    """Bring back the dataset from before."""
    from core.api import Thaw

    old = Thaw(settings).mending.undo(args.workspace, args.dataset)
    if args.json:
        output.document({"dataset": old.id, "rows_kept": old.rows_kept})
    else:
        print(f"{old.name} is as before: {old.id}, {Numbers.of(old).kept:,} rows.")
    return 0


def _steps(args: Namespace, dataset: Dataset, settings: Settings) -> list[Step]:
    from core.data import library, mends

    report = library.read_report(dataset, settings=settings, workspace=args.workspace)
    codes = [finding.code for finding in report.findings]
    steps = []
    for asked in filter(None, (part.strip() for part in args.do.split(","))):
        name, _, only = asked.partition(":")
        answered = [code for code in mends.get(name).answers if code in codes and only in ("", code)]
        if not answered:
            raise DataError(f"Nothing was found that {asked} is an answer to.",
                            why=f"It answers: {', '.join(mends.get(name).answers) or 'no finding'}.",
                            remedy=f"core data check {dataset.id} shows what was found.")
        steps += [Step(mend=name, finding=code) for code in answered]
    steps += [Step(mend="drop-classes", classes=(name,)) for name in args.drop_class]
    if args.drop_rows:
        steps.append(Step(mend="drop-rows", rows=_numbers(args.drop_rows)))
    if not steps:
        raise DataError("Nothing was asked for.", remedy="Name mends with --do, or use --drop-class or --drop-rows.")
    return steps


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise DataError(f"These are no row numbers: {text[:60]}.", remedy="Write them as 12,15,18.") from error


def _document(old: Dataset, new: Dataset, changed: Changes) -> dict[str, Any]:
    return {"dataset": new.id, "before": old.id, "rows_before": changed.rows_before, "rows_after": changed.rows_after,
            "dropped": changed.dropped, "relabelled": changed.relabelled, "moved": changed.moved,
            "counts_before": changed.before, "counts_after": changed.after, "steps": codec.to_json(changed.steps)}


def _print(document: dict[str, Any], changed: Changes) -> None:
    print(f"{changed.rows_before:,} rows before, {changed.rows_after:,} after")
    for reason, count in changed.dropped.items():
        print(f"  {count:,} dropped: {reason}")
    for count, what in ((changed.relabelled, "with another class"), (changed.moved, "moved to another split")):
        if count:
            print(f"  {count:,} {what}")
    print("\n" + output.table(["split", "before", "after"], _by_split(changed)))
    if document["dataset"] != document["before"]:
        print(f"\nThe new dataset is {document['dataset']}. core data undo {document['dataset']} brings back "
              f"{document['before']}.")


def _by_split(changed: Changes) -> Sequence[Sequence[str]]:
    splits = dict.fromkeys([*changed.before, *changed.after])
    return [[split, *(f"{sum(part.get(split, {}).values()):,}" for part in (changed.before, changed.after))]
            for split in splits]
