"""Finished runs as one HTML file: the numbers, figures and cards of their pages, read without Thaw or a network."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import core
from core.domain.dataset import Split
from core.domain.run import Status
from core.errors import DataError
from core.metrics import METRICS, primary
from core.planning import names
from core.plots import budgets, confusion, curves, forgetting, intervals, learn_forget
from core.plots.numbers import count, duration, size
from core.share import private, report_maps, report_method, results
from core.share.document import Document
from core.share.material import Material
from core.share.report_maps import Drawn, Missing

MOST_BYTES = 15_000_000
"""Of a file that mail and chat still take."""
POINTS = (None, 1000, 500, 200, 0)
"""Rows on a map: all, and what is tried where the file would be too large; 0: no maps."""
SUBJECTS = {"target": "Its own task", "shift": "Shift set", "forgetting": "What else changed", "cost": "Cost"}
ANSWERS = 3
"""Prompts shown of each run."""


def make(material: Material, *, rows: bool = True) -> bytes:
    """The file. rows: whether texts, pictures and samples of the dataset go into it.

    Maps get fewer points where the file would exceed `MOST_BYTES`. Raises DataError without a finished run.
    """
    if not material.runs:
        raise DataError("There is nothing to share yet.", why="None of these runs has a result.",
                        remedy="Wait until a run is done.")
    maps = report_maps.measured(material, rows=rows)
    for points in POINTS:
        made = _document(material, maps, rows=rows, points=points).bytes()
        if len(made) <= MOST_BYTES:
            break
    return made


def _document(material: Material, maps: Sequence[Drawn | Missing], *, rows: bool, points: int | None) -> Document:
    document = Document(material.title)
    _head(document, material, rows=rows)
    _answers(document, material)
    _scores(document, material)
    _verdicts(document, material)
    _differences(document, material)
    _learning(document, material)
    _errors(document, material)
    _elsewhere(document, material)
    if rows:
        _samples(document, material)
    report_maps.section(document, material, maps, points=points)
    report_method.recipes(document, material)
    report_method.how(document, material)
    return document


def _head(document: Document, material: Material, *, rows: bool) -> None:
    made = time.strftime("%d %B %Y, %H:%M UTC", time.gmtime()).lstrip("0")
    runs = "One run" if len(material.runs) == 1 else f"{len(material.runs)} runs"
    document.paragraph(f"{runs}, written by Thaw {core.__version__} on {made}. This file needs no network and no other "
                       "file.", kind="note")
    said = []
    for dataset in {found.id: found for found in material.datasets.values() if found is not None}.values():
        parts = ", ".join(f"{dataset.rows(split):,} {split}" for split in Split if dataset.rows(split))
        classes = f"; {len(dataset.classes)} classes" if dataset.classes else ""
        licence = f"; licence: {dataset.licence}" if dataset.licence else ""
        said.append(f"Dataset {dataset.name}: {parts} rows{classes}{licence}.")
    said += [f"Base model {model}." for model in dict.fromkeys(
        private.model(run.recipe.base_model) for run, _ in material.runs.values() if run.recipe)]
    if not rows:
        said.append("Rows of the dataset (texts, pictures, samples of answers) were left out on request.")
    document.list(said)


def _answers(document: Document, material: Material) -> None:
    """The questions that were asked: answers, charts and verdict cards."""
    for asked in material.answered:
        document.heading(asked.question)
        document.paragraph(asked.sentence)
        for chart in asked.charts:
            document.chart(chart)
        if asked.card.beside:
            document.paragraph(f"{asked.card.headline} Better or worse is said only where the whole 95 % interval lies "
                               "on one side of zero and p, corrected for all comparisons (Holm), is below 0.05.",
                               kind="note")
        for beside in asked.card.beside:
            document.card(beside.title, [(line.title, line.word or "", line.sentence)
                                         for line in beside.lines])


def _verdicts(document: Document, material: Material) -> None:
    if not material.verdicts:
        return
    document.heading("Verdicts")
    document.paragraph("Better or worse is said only where the whole 95 % interval of the difference lies on one side "
                       "of zero, and beyond what rounding or another seed changes (the noise floor).", kind="note")
    for id, verdict in material.verdicts.items():
        document.card(f"{material.called[id]}: {verdict.headline}",
                      [(SUBJECTS.get(line.subject, line.subject), line.word or "",
                        f"{line.sentence} {line.to_do}".strip()) for line in verdict.lines])


def _scores(document: Document, material: Material) -> None:
    """The table, and how good each run is by the metric that decides."""
    document.heading("Results")
    found = results.scores([result for _, result in material.runs.values()])
    rows = [_readable(results.row(material.called[id], run, result, found))
            for id, (run, result) in material.runs.items()]
    if all(run.status is Status.DONE for run, _ in material.runs.values()):
        rows = [{name: cell for name, cell in row.items() if name != "State"} for row in rows]
    document.table(rows, caption="Each value with its 95 % interval")
    document.list([f"{name} has no result: {how}." for name, how in material.without.items()])
    hashes = {result.dataset_hash for _, result in material.runs.values()}
    if len(hashes) > 1:
        document.paragraph("These runs were judged on different test rows, so their numbers say nothing about each "
                           "other.")
    metric = primary(name for _, result in material.runs.values() for scores in result.metrics.values()
                     for name in scores)
    if metric is None:
        return
    splits = [split for split in ("test", "shift") if any(metric.name in result.metrics.get(split, {})
                                                          for _, result in material.runs.values())]
    for made in dict.fromkeys(result.shift_made for _, result in material.runs.values() if result.shift_made):
        document.paragraph(f"The shift set is {made}: the test rows, changed by a rule, and no second domain.")
    for split in splits:
        points = results.points(material.runs, material.called, split, metric)
        if len(points) < 2:  # one dot is no chart
            document.paragraph(intervals.finding(points, metric, split))
            continue
        document.chart(intervals.dots(points, metric=metric, split=split))
        if split == "test":
            document.chart(intervals.against_parameters(points, metric=metric, split=split))
    over = results.budget_points(material.runs, metric, groups=material.groups, datasets=material.datasets)
    if len({point.rows for point in over}) > 1:
        document.chart(budgets.over_rows(over, metric=metric, split="test"))


def _readable(row: Mapping[str, Any]) -> dict[str, str]:
    """The table's numbers in words."""
    forms = {"Trained": count, "All parameters": count, "Seconds alone": duration, "Seconds added": duration,
             "Memory estimated": size, "Memory measured": size, "Artifact": size}
    return {key: "–" if value is None else forms[key](value) if key in forms else str(value)
            for key, value in row.items()}


def _differences(document: Document, material: Material) -> None:
    """Seeds as one measurement, and runs against each other row by row."""
    if material.groups:
        document.heading("Seeds together")
        shown = [metric for metric in METRICS if any(metric.name in group.metrics for group in material.groups)]
        called = names.short([material.runs[group.ids[0]][0] for group in material.groups], seeds=False)
        document.table([{"Arm": called[group.ids[0]], "Seeds": len(group.ids)} |
                        {metric.heading("test"): results.text(group.metrics.get(metric.name)) for metric in shown}
                        for group in material.groups],
                       caption="Mean over the seeds of an arm; the interval covers the test rows and the seeds")
    if material.paired:
        document.heading("Is one really better?")
        document.list(list(material.paired))


def _learning(document: Document, material: Material) -> None:
    lines = results.lines(material.comparison.curves, material.runs, material.called)
    if not lines:
        return
    document.heading("How fast")
    reported = {name for found in material.comparison.curves.values() for point in found.evals for name in point}
    metric = next((metric for metric in METRICS if metric.name in reported), None)
    if len(material.runs) == 1:
        document.chart(curves.run_chart(results.run_curves(next(iter(material.comparison.curves.values()))),
                                        ended=True))
        return
    if metric is not None:
        judged = results.lines(material.comparison.curves, material.runs, material.called, metric=metric)
        document.chart(curves.overlay(judged, metric=metric))
    document.chart(curves.overlay(lines))


def _errors(document: Document, material: Material) -> None:
    found = material.comparison.confusion
    if not found:
        return
    document.heading("Which errors")
    for id in material.runs:
        if id in found:
            document.chart(confusion.matrix(found[id], material.comparison.classes_of[id], name=material.called[id]))


def _elsewhere(document: Document, material: Material) -> None:
    """What language models learned against what they forgot."""
    if not material.learned and not any(material.forgotten.values()):
        return
    document.heading("What it cost elsewhere")
    if material.learned:
        document.chart(learn_forget.chart(material.learned))
        document.paragraph("Left and low is best: learned its task, forgot nothing. The cross is the untouched model, "
                           "the band the noise floor; small dots are checkpoints on the way.", kind="note")
    for id, rows in material.forgotten.items():
        if rows:
            document.heading(material.called[id], level=3)
            document.chart(forgetting.changes([forgetting.Domain(
                label=row["label"], before=row["before"], after=row["after"], change=row["change"],
                floor=row["floor"], word=row["word"]) for row in rows]))


def _samples(document: Document, material: Material) -> None:
    """What language models answer before training and at their last recorded step."""
    if not material.samples:
        return
    document.heading("What they answer")
    document.paragraph("The same prompts and the same random choices for every run. Underlined: what the untouched "
                       "model does not say there. Struck through: what it alone says.", kind="note")
    for id, samples in material.samples.items():
        document.heading(material.called[id], level=3)
        for asked in samples.asked[:ANSWERS]:
            document.said("Prompt", [(asked.prompt, "")])
            document.said("Untouched model", [(asked.untouched, "")])
            if asked.answers:
                last = asked.answers[-1]
                document.said(f"Step {last.step:,}", [(span.text, span.kind.value) for span in last.spans])
