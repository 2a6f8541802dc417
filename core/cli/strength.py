"""`core strength`: a finished run's trained change turned up and down, measured on fixed rows."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from core import values
from core.cli import follow, output
from core.cli.output import ProgressLine
from core.cli.predict import run_folder
from core.domain import codec
from core.domain import strength as dials
from core.domain.run import JobKind
from core.domain.strength import Dial, HeadRule
from core.errors import NotFoundError, RecipeError
from core.metrics import REGISTRY
from core.settings import Settings


def run(args: Namespace, settings: Settings) -> int:
    """Measure the curve that is asked for, unless it is there, and print it; or save one setting under a name."""
    from core.analysis import strength_files, strength_words

    run_dir = run_folder(args.run_dir)
    strength_files.check(values.recipe(run_dir))
    dial, blocks, head = Dial(args.dial), tuple(_listed(args.blocks)), HeadRule(args.head)
    if args.save is not None:
        return _save(args, run_dir, dial, blocks, head)
    wanted = [_number(text) for text in _listed(args.values)]
    for value in wanted:
        dials.at(dial, value).check()
    found = strength_files.read(run_dir)
    curve = found.find(dial, blocks, head) if found else None
    there = {point.at for point in curve.points} if curve else set()
    if not there or not set(wanted) <= there:
        payload: dict[str, Any] = {"run": str(run_dir), "dial": dial.value, "blocks": list(blocks), "head": head.value,
                                   "values": [value for value in wanted if value not in there]}
        follow.job(JobKind.STRENGTH, payload, name=f"Strength of {run_dir.name}", settings=settings,
                   workspace=args.workspace, line=ProgressLine("strength:"))
        found = strength_files.read(run_dir)
        curve = found.find(dial, blocks, head) if found else None
    if found is None or curve is None:
        raise NotFoundError("Nothing was measured.", why="The job ended before the first setting.",
                            remedy="Run the command again.")
    best, said = strength_words.best(found, curve), strength_words.sentences(found, curve)
    if args.json:
        document = {name: value for name, value in codec.to_json(found).items() if name != "curves"}
        output.document({"run": run_dir.name, **codec.to_json(curve), **document, "said": said,
                         "chosen": best.at if best else None, "saved": strength_files.points(run_dir)})
        return 0
    names = [name for name in found.samples if any(name in point.sets for point in curve.points)]
    metrics = [REGISTRY[found.samples[name].metric] for name in names]
    head_row = [dial.value, *(f"{strength_words.called(found, name)} ({metric.label})"
                              for name, metric in zip(names, metrics, strict=True))]
    print(output.table(head_row, [[f"{point.at:g}", *(output.number(metric, point.sets[name].scores[metric.name])
                                                      for name, metric in zip(names, metrics, strict=True))]
                                  for point in curve.points]))
    for line in (*said, strength_words.CAUTION):
        print(line)
    return 0


def _save(args: Namespace, run_dir: Path, dial: Dial, blocks: tuple[str, ...], head: HeadRule) -> int:
    from core.analysis import strength_files

    if args.at is None:
        raise RecipeError("There is no setting to save.", why="--save needs the place of the dial.",
                          remedy="Add --at, e.g. --save careful --at 0.75.")
    turn = dials.at(dial, args.at, blocks=blocks, head=head)
    strength_files.save_point(run_dir, args.save, turn)
    if args.json:
        output.document({"run": run_dir.name, "saved": args.save, **codec.to_json(turn)})
    else:
        print(f"Saved. Use it: core predict {run_dir} --strength {args.save} --input …")
    return 0


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise RecipeError(f"{text} is no setting of a dial.", why="It is not a number.",
                          remedy="Give numbers with commas between, e.g. --values 0,0.5,0.75.") from error
