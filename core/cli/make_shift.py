"""`core data make-shift`: a shift set made from a dataset's own test rows."""

from __future__ import annotations

from argparse import Namespace

from core.cli import output, sources
from core.domain.dataset import Split
from core.errors import DataError
from core.settings import Settings


def run(args: Namespace, settings: Settings) -> int:
    """Make it, attach it, and say what the new dataset is called."""
    from core.data import made, made_shift, meter

    if args.seed < 0:
        raise DataError("A seed is no negative number.", remedy="Use 0, 1, 2 and so on.")
    dataset = sources.dataset(args.dataset, shift=None, settings=settings, workspace=args.workspace)
    line = output.ProgressLine(f"{dataset.name}:")
    with meter.watched(line.amount):
        new = made_shift.make(dataset, kind=args.kind, severity=args.severity, seed=args.seed, settings=settings,
                              workspace=args.workspace).dataset
    line.done(new.shift_called)
    kind = made.get(args.kind)
    document = {"dataset": new.id, "before": dataset.id, "shift": new.shift_called, "kind": kind.name,
                "severity": args.severity, "seed": args.seed, "rows": new.rows(Split.SHIFT), "source": kind.source}
    if args.json:
        output.document(document)
        return 0
    print(f"{document['rows']:,} shift rows, {new.shift_called}: {kind.explains} (Source: {kind.source}.)")
    print("They are its own test rows, changed: no second domain.")
    print(f"\nThe new dataset is {new.id}. core data undo {new.id} brings back {dataset.id}.")
    return 0
