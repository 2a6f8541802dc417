"""`core export`: a finished run's model, written for use elsewhere."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from core.cli import output
from core.cli.predict import run_folder
from core.export import exporting, words
from core.settings import Settings


def export(args: Namespace, settings: Settings) -> int:
    """Write a run's model in the form asked for, and say what is there and what its certificate says."""
    output.quiet_libraries()
    report = exporting.export(run_folder(args.run_dir), Path(args.to).expanduser().absolute(), form=args.form,
                              settings=settings, workspace=args.workspace)
    if args.json:
        output.document(report)
    else:
        print(f"Wrote {len(report['files'])} files, {output.size(report['bytes'])}, to {report['folder']}")
        for note in report["notes"]:
            print(note)
        if report["certificate"]:
            print("\n".join(words.said(report["certificate"])))
    return 0
