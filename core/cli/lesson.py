"""`core lesson`: a lesson's experiment measured, and its result stored where Thaw looks for it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from core import files, lessons
from core.api.lessons import document_of
from core.cli import experiment, follow, output, sources
from core.errors import RecipeError
from core.planning import designs
from core.planning.designs.base import Choices
from core.settings import Settings

FILE = "lesson.json"


def run(args: Namespace, settings: Settings) -> int:
    """List the lessons, or measure one. 0 when every run is done, else 1."""
    if not args.name:
        return _list(args)
    if not args.out:
        raise RecipeError("There is no folder for the runs.", remedy="Name one with --out.")
    lesson, out = lessons.get(args.name), Path(args.out).absolute()
    choices = Choices(dataset=sources.dataset(lesson.dataset, shift=None, settings=settings, workspace=args.workspace),
                      models=(sources.model(lesson.model, settings=settings, workspace=args.workspace),),
                      effort="quick", device=follow.device(settings, workspace=args.workspace), **lesson.choices)
    found = experiment.measure(designs.get(lesson.design), choices, out=out, seeds=args.seeds,
                               settings=settings, workspace=args.workspace, features=lesson.features)
    document = document_of(lesson, found.found, found.report, experiment.made(choices, found.report))
    files.write_json(out / FILE, document)
    if args.store:
        if not found.complete:
            raise RecipeError("The result is not stored.", why="Not every run is done.",
                              remedy="Run the same command again: runs that are done are not repeated.")
        files.write_json(lessons.STORED / f"{lesson.name}.json", document)
    if args.json:
        output.document(document)
    else:
        print(found.report["answer"]["sentence"])
        print(f"The paper: {lesson.claim} ({lesson.source})")
        print(document["sentence"])
        print(f"Runs and {FILE} are in {out}")
    return 0 if found.complete else 1


def _list(args: Namespace) -> int:
    if args.json:
        output.document([{"name": each.name, "title": each.title, "asks": each.asks, "design": each.design,
                          "stored": lessons.stored(each.name) is not None} for each in lessons.REGISTRY.values()])
    else:
        print(output.table(("lesson", "title", "result comes with Thaw"), [
            (each.name, each.title, "yes" if lessons.stored(each.name) else "no")
            for each in lessons.REGISTRY.values()]))
    return 0
