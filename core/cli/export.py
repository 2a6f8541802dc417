"""`core export`: a finished run's model, written for use elsewhere, and uploaded where that is asked."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from core.cli import output
from core.cli.predict import run_folder
from core.errors import RecipeError
from core.export import exporting, upload, words
from core.settings import Settings


def export(args: Namespace, settings: Settings) -> int:
    """Write a run's model in the form asked for, and say what is there and what its certificate says; `--upload` puts
    it on the hub, or says what would be there."""
    output.quiet_libraries()
    if args.upload:
        upload.check(args.upload, settings=settings, dry=args.dry_run)
    elif args.dry_run or args.public or args.even_if_failed:
        raise RecipeError("There is nothing to upload.",
                          why="--dry-run, --public and --even-if-failed are of --upload.",
                          remedy="Add --upload user/name, or leave them out.")
    run_dir, target = run_folder(args.run_dir), Path(args.to).expanduser().absolute()
    before = exporting.there(run_dir, target, form=args.form, strength=args.strength) if args.upload else None
    report = before or exporting.export(run_dir, target, form=args.form, settings=settings, workspace=args.workspace,
                                        strength=args.strength, afresh=args.start_over)
    if not args.json:
        if report.get("went_on"):
            print("Went on with the files of an attempt that was cut off; their checksums fit.")
        done, at = ("Found", "in") if before else ("Wrote", "to")
        print(f"{done} {len(report['files'])} files, {output.size(report['bytes'])}, {at} {report['folder']}")
        for note in report["notes"]:
            print(note)
        if report["certificate"]:
            print("\n".join(words.said(report["certificate"])))
    if args.upload:
        report["upload"] = _upload(args, Path(report["folder"]))
    if args.json:
        output.document(report)
    return 0


def _upload(args: Namespace, folder: Path) -> dict[str, Any]:
    """What was uploaded, or, dry, would be."""
    if args.dry_run:
        upload.check_certificate(folder, even_if_failed=args.even_if_failed)
        found = upload.plan(folder, args.upload, public=args.public) | {"dry_run": True}
    else:
        found = upload.send(folder, args.upload, public=args.public, even_if_failed=args.even_if_failed)
    if not args.json:
        seen = "you and those you let see it" if found["private"] else "everybody"
        print(f"\n{'Would upload' if args.dry_run else 'Uploaded'} {len(found['files'])} files, "
              f"{output.size(found['bytes'])}, to {found.get('url', found['repo'])}, to be seen by {seen}:")
        print(output.table(["File", "Size", "Says"], [[file["name"], output.size(file["bytes"]), file["tells"]]
                                                      for file in found["files"]]))
        for name in found["left_here"]:
            print(f"Stays here: {name}")
        print("No row of the data is among them.")
    return found
