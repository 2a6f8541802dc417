"""`core shift`: how a finished run moved the features of the same rows, block by block; and what each view draws when
nothing changed."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import values
from core.cli import follow, output, sources
from core.cli.output import ProgressLine
from core.cli.predict import run_folder
from core.domain.run import JobKind
from core.domain.side import Side, Which
from core.errors import RecipeError, ThawError
from core.settings import Settings

if TYPE_CHECKING:
    from core.analysis.aligned import AlignedSides
    from core.domain.dataset import Dataset
    from core.domain.recipe import Recipe


def run(args: Namespace, settings: Settings) -> int:
    """Measure the shift between the base model and the run's tuned model, and print it."""
    if args.run_dir is None and not args.null_table:
        raise RecipeError("There is no run to measure.", why="The command needs the folder of a finished run.",
                          remedy="Name it: core shift RUN_DIR.")
    if args.run_dir is None:
        return _null_table(None, as_json=args.json)
    from core.analysis import downloads, lens_files, sample, shift_report
    from core.data import library

    run_dir, workspace = run_folder(args.run_dir), args.workspace
    recipe = values.recipe(run_dir)
    second = _second(args.beside, recipe.dataset, settings=settings, workspace=workspace) if args.beside else None
    found = _aligned(run_dir, recipe, settings=settings, workspace=workspace, rows=args.rows, second=second)
    if args.null_table:
        return _null_table(found, as_json=args.json)
    report = shift_report.named(shift_report.of(found, settings=settings), found, a=recipe.base_model, b=run_dir.name,
                                second=second.name if second else "")
    document = report.to_json() | {"of_training": sample.of_training(found.splits)}
    document |= downloads.datasets(library.load(recipe.dataset, settings=settings, workspace=workspace), second)
    if not recipe.task.labelled:  # its rows have none, and nothing is missing
        document["warnings"] = [warning for warning in document["warnings"] if warning["code"] != "no-labels"]
    words = lens_files.read(run_dir)
    document["words"] = words and words.to_json()
    if args.json:
        output.document(document)
    else:
        _print(document)
    return 0


def _second(name: str, own: str, *, settings: Settings, workspace: str) -> Dataset:
    """The second dataset, to be compared with the run's own; see `sources.dataset`. Raises DataError for another kind
    of input."""
    from core.analysis import availability
    from core.data import library

    found = sources.dataset(name, shift=None, settings=settings, workspace=workspace)
    availability.check_second(found, library.load(own, settings=settings, workspace=workspace))
    return found


def _aligned(run_dir: Path, recipe: Recipe, *, settings: Settings, workspace: str, rows: int,
             second: Dataset | None) -> AlignedSides:
    """Base model and tuned model at the probe sample, from the same files that the page reads; extracted first where
    they are missing."""
    from core.analysis import aligned, row_facts
    from core.analysis.sample import SHIFT_SET
    from core.data import library

    own = library.load(recipe.dataset, settings=settings, workspace=workspace)
    if not _is_extracted(run_dir, own, settings=settings, rows=rows, second=second):
        payload = {"runs": [str(run_dir)], "rows": rows} | ({"beside": second.id} if second else {})
        follow.job(JobKind.FEATURES, payload, name=f"Features of {run_dir.name}", settings=settings,
                   workspace=workspace, line=ProgressLine("features:"))
    table = row_facts.table(recipe.dataset, settings=settings, workspace=workspace)
    return aligned.align(Side.of(run_dir, Which.BASE), Side.of(run_dir), settings=settings, table=table, rows=rows,
                         second=SHIFT_SET if second is None else second.id)


def _is_extracted(run_dir: Path, own: Dataset, *, settings: Settings, rows: int, second: Dataset | None) -> bool:
    """Whether every side is on disk. What stands in the way of extracting them is said by the job that is to do it."""
    from core.analysis import feature_paths
    from core.models import origin

    try:
        origin.of(run_dir).check_dataset(own)
        paths = feature_paths.of_run(run_dir, settings=settings, rows=rows)
    except ThawError:
        return False
    return paths.ready and (second is None or paths.at_rows_of(second.id, settings=settings).ready)


def _null_table(found: AlignedSides | None, *, as_json: bool) -> int:
    """What each view draws when nothing changed: on the last block of a run's base model, or on digits lifted to 384
    dimensions."""
    from core.shift import null_steps

    if found is None:
        steps = null_steps.on_digits()
    else:
        both = found.features
        labels = None if both.labels is None else both.labels[both.target]
        x, y = (np.asarray(side[-1])[both.target] for side in (both.base, both.tuned))
        steps = null_steps.measure(x, y, labels=labels)
    if as_json:
        output.document(steps)
        return 0
    print(f"Median drawn step ÷ median distance drawn; the real movement is {steps[0].real:.2f} typical distances.")
    print(output.table(["view", "identical data draws", "the real change draws"],
                       [[step.view, f"{step.identical:.3f}", f"{step.changed:.3f}"] for step in steps]))
    return 0


def _print(report: dict[str, Any]) -> None:
    def number(value: Any) -> str:
        return "-" if value is None else f"{value:.3f}"

    aside = f", {report['shift_rows']:,} of them {report['beside']['name'] if report['beside'] else 'shift'} rows"
    print(f"{report['run']} against {report['base']} on {report['rows']:,} rows{aside if report['shift_rows'] else ''}")
    for sentence in report["findings"]:
        print(sentence)
    columns = ["cka", "cka_low", "cka_high", "cka_unrelated", "knn_overlap", "knn_overlap_unrelated", "displacement",
               "probe_accuracy_base", "probe_accuracy_tuned"]
    if report["shift_rows"]:
        columns += ["displacement_shift", "mmd_base", "mmd_tuned"]
    columns = [c for c in columns if any(block.get(c) is not None for block in report["blocks"])]
    lines = [[block["name"], "yes" if block["frozen"] else "no", *(number(block.get(c)) for c in columns)]
             for block in report["blocks"]]
    print(output.table(["block", "frozen", *(c.replace("_", " ") for c in columns)], lines))
    if report["words"]:
        _print_words(report["words"])
    notes = [warning["message"] for warning in report["warnings"]]
    if report["of_training"]:
        notes.append(report["of_training"])
    for note in notes:
        print(f"Note: {note}")


def _print_words(words: dict[str, Any]) -> None:
    """What each block of a language model says, on average, and what training left on unrelated text."""
    kl = words["kl"]
    print(f"KL of the tuned from the base model: {kl['value']:.3f} nats a token [{kl['low']:.3f}, {kl['high']:.3f}], "
          f"{words['kl_shuffled']:.2f} between shuffled pairs" + ("" if words["floor"] is None else
          f", {words['floor']['mean']:.2g} from rounding alone ({words['floor']['source']})"))
    left = {block["name"]: block for block in words["left"]}
    lines = []
    for block in words["blocks"]:
        sides, there = (block["base"], block["tuned"]), left.get(block["name"])
        named = [] if there is None else [word.strip() for word, _ in there["words"][:5]]
        lines.append([block["name"], *(f"{side['rank']['value']:,.0f}" for side in sides),
                      *(f"{side['log_probability']['value']:.2f}" for side in sides),
                      "-" if there is None else f"{there['size'] / (there['typical'] or 1):.1%}", " ".join(named)])
    print(output.table(["block", "place of the true token", "tuned", "log-probability", "tuned", "left elsewhere",
                        "its words"], lines))
