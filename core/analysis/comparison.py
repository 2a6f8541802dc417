"""Runs side by side, from what they left in their folders: numbers, confusion, differences, the paired test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import metrics, values
from core.analysis import damage, predictions
from core.analysis.curves import Curves
from core.analysis.predictions import Predictions
from core.domain.freeze import describe
from core.domain.recipe import Recipe, differences, settings
from core.domain.run import Interval, Labels, Result, Run, Status
from core.errors import DataError, NotFoundError, RecipeError
from core.metrics import Judged, Metric, Need
from core.metrics import arms as pooled

if TYPE_CHECKING:
    from core.metrics.paired import PairedTest


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """One run of a comparison; what it has not measured is None or empty."""

    id: str
    name: str
    status: Status
    method: str
    seed: int
    label_budget: int | None
    dataset: str
    freeze: str
    """The freeze plan in a phrase."""
    metrics: dict[str, dict[str, Interval]] = field(default_factory=dict)
    """split (`test`, `shift`, `validation`) -> metric -> value with its 95 % interval."""
    trainable_params: int | None = None
    total_params: int | None = None
    seconds: float | None = None
    marginal_seconds: float | None = None
    estimated_memory_bytes: int | None = None
    peak_memory_bytes: int | None = None
    artifact_bytes: int | None = None
    steps: int | None = None
    samples: int | None = None
    precision: str = ""
    device: str = ""
    dataset_hash: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several runs, in the order asked for."""

    rows: tuple[ComparisonRow, ...]
    differences: dict[str, list[Any]]
    """Dotted recipe field -> its value in each run, only where they differ."""
    settings: dict[str, list[Any]]
    """The same of every field."""
    confusion: dict[str, list[list[int]]]
    """Run id -> rows of each (label, prediction) pair on the test set; line = label."""
    classes: tuple[str, ...]
    """Of the first run that has predictions."""
    classes_of: dict[str, tuple[str, ...]]
    """Run id -> its classes; they differ when the runs' datasets do."""
    curves: dict[str, Curves]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(row.id for row in self.rows)


def build(runs: Sequence[Run], *, names: Mapping[str, str], results: Mapping[str, Result | None],
          curves: Mapping[str, Curves], confused: bool = True) -> Comparison:
    """Put runs side by side, called by these names. Raises RecipeError for a job that trained nothing.

    confused: with their confusion tables, for which the predictions of all of them are read.
    """
    recipes = [recipe_of(run) for run in runs]
    confusions: dict[str, list[list[int]]] = {}
    classes_of: dict[str, tuple[str, ...]] = {}
    for run in runs if confused else ():
        if results.get(run.id) is not None and (found := confusion_of(Path(run.folder))) is not None:
            confusions[run.id], classes_of[run.id] = found
    rows = tuple(_row(run, names[run.id], recipe, results.get(run.id))
                 for run, recipe in zip(runs, recipes, strict=True))
    return Comparison(rows=rows, differences=differences(recipes) if len(recipes) > 1 else {},
                      settings=settings(recipes), confusion=confusions,
                      classes_of=classes_of, classes=next(iter(classes_of.values()), ()), curves=dict(curves))


def recipe_of(run: Run) -> Recipe:
    """The recipe of a training run; RecipeError for other jobs."""
    if run.recipe is None:
        raise RecipeError(f"{run.name} cannot be compared.",
                          why="It fetched or prepared something; it trained nothing.",
                          remedy="Choose training runs only.")
    return run.recipe


def _row(run: Run, name: str, recipe: Recipe, result: Result | None) -> ComparisonRow:
    measured: dict[str, Any] = {}
    if result is not None:
        measured = {name: getattr(result, name) for name in (
            "metrics", "trainable_params", "total_params", "seconds", "marginal_seconds", "estimated_memory_bytes",
            "peak_memory_bytes", "artifact_bytes",
            "steps", "samples", "precision", "device", "dataset_hash")}
    return ComparisonRow(id=run.id, name=name, status=run.status, method=recipe.method, seed=recipe.seed,
                         dataset=recipe.dataset, label_budget=recipe.label_budget,
                         freeze=describe(recipe.freeze), **measured)


def confusion_of(folder: Path, split: str = "test") -> tuple[list[list[int]], tuple[str, ...]] | None:
    """Confusion table and class names of a run folder; None when it has no predictions of that split."""
    from core.metrics.scores import confusion

    found = predictions.read(folder, split)
    if found is None or found.judged.labels is None or found.judged.predictions is None:
        return None
    labels, guesses = found.judged.of(Need.LABELS), found.judged.of(Need.PREDICTIONS)
    classes = class_names(folder)
    count = max(len(classes), int(labels.max()) + 1, int(guesses.max()) + 1)
    classes += tuple(f"class {i}" for i in range(len(classes), count))
    return confusion(labels, guesses, count).tolist(), classes


def class_names(folder: Path) -> tuple[str, ...]:
    """The label map of a run's artifact; empty when there is none."""
    labels = values.read(folder / "artifact" / "labels.json", Labels)  # a damaged one is named by `damage.of_run`
    return labels.classes if labels else ()


def paired(a: Run, b: Run, *, names: tuple[str, str], results: tuple[Result | None, Result | None],
           split: str = "test", metric: str | None = None) -> PairedTest:
    """Compare two runs, called by these names, row by row, by the metric that decides or by that of this name.

    Raises NotFoundError without predictions, DataError when the rows are not the same.
    """
    from core.metrics.paired import by_metric

    first, second = (_rows_of(run, name, result, split)
                     for run, name, result in zip((a, b), names, results, strict=True))
    hashes = [result.dataset_hash for result in results if result is not None]
    if hashes[0] != hashes[1] or not first.same_rows(second):
        what = "rows" if hashes[0] == hashes[1] else "datasets"
        raise DataError("These two runs cannot be compared row by row.", why=f"They were tested on different {what}.",
                        remedy="Compare runs of the same dataset.")
    chosen = _metric(metric, first.judged, second.judged)
    return by_metric(chosen, first.judged, second.judged, name_a=names[0], name_b=names[1])


def _rows_of(run: Run, name: str, result: Result | None, split: str) -> Predictions:
    folder = Path(run.folder)
    found = predictions.read(folder, split)
    if found is not None and result is not None:
        return found
    file = predictions.path(folder, split).name
    if why := damage.of_run(folder).get(file):
        raise DataError(f"The predictions of {name} cannot be read.", why=f"{file} is damaged: {why}.",
                        remedy="Fork the run to make them anew, or leave it out.")
    what = f"{name} has no predictions on {split} rows."
    if result is not None and run.status is Status.DONE:
        raise NotFoundError(what, why=f"Its dataset has no {split} row.",
                            remedy=f"Train on a dataset with {split} rows.")
    raise NotFoundError(what, why=f"Its state is {run.status}.", remedy="Wait until it is done, or resume it.")


def _metric(name: str | None, *judged: Judged) -> Metric:
    """The metric of that name, or the one that decides, among those that all of these have."""
    shared = metrics.shared(judged)
    found = next((metric for metric in shared if name in (None, metric.name)), None)
    if found is None:
        raise NotFoundError("These runs cannot be compared by this metric.",
                            why="Their predictions do not hold what it needs.",
                            remedy=f"Choose among: {', '.join(metric.label for metric in shared) or 'none'}.")
    return found


@dataclass(frozen=True, kw_only=True)
class SeedGroup:
    """Runs that differ in nothing but the seed, and their test scores as one measurement."""

    ids: tuple[str, ...]
    metrics: dict[str, Interval]
    """Metric -> mean over seeds, with an interval over rows and seeds."""


def seed_groups(runs: Sequence[Run], *, results: Mapping[str, Result | None]) -> tuple[SeedGroup, ...]:
    """The arms among these runs with two seeds or more, tested on the same rows; in the order of their first run."""
    arms: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.recipe is not None and (result := results.get(run.id)) is not None:
            # what it computed in, where the recipe left that open
            arm = run.recipe.replace(seed=0, precision=result.precision)
            arms.setdefault((repr(arm), result.dataset_hash), []).append(run)
    groups = []
    for members in arms.values():
        # the same seed twice is one measurement
        by_seed = {run.recipe.seed: run for run in members if run.recipe is not None}
        found = [rows for run in by_seed.values() if (rows := predictions.read(Path(run.folder), "test")) is not None]
        if len(found) > 1 and len(found) == len(by_seed) and all(rows.same_rows(found[0]) for rows in found):
            judged = [rows.judged for rows in found]
            ids = tuple(run.id for run in by_seed.values())
            groups.append(SeedGroup(ids=ids, metrics={
                metric.name: pooled.mean(metric, judged) for metric in metrics.shared(judged)}))
    return tuple(groups)
