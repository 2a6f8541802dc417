"""Runs side by side, from what they left in their folders: numbers, confusion, differences, the paired test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import files
from core.analysis import damage
from core.analysis.curves import Curves
from core.domain.freeze import HEAD, describe
from core.domain.recipe import Recipe, differences
from core.domain.run import Interval, Result, Run, Status
from core.errors import DataError, NotFoundError, RecipeError

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
    """split (`test`, `shift`) -> metric (`accuracy`, `macro_f1`) -> value with its 95 % interval."""
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

    @property
    def accuracy(self) -> Interval | None:
        """Test accuracy."""
        return self.metrics.get("test", {}).get("accuracy")

    @property
    def macro_f1(self) -> Interval | None:
        """Test macro-F1."""
        return self.metrics.get("test", {}).get("macro_f1")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several runs, in the order asked for."""

    rows: tuple[ComparisonRow, ...]
    differences: dict[str, list[Any]]
    """Dotted recipe field -> its value in each run, only where they differ."""
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


def build(runs: Sequence[Run], *, results: Mapping[str, Result | None], curves: Mapping[str, Curves]) -> Comparison:
    """Put runs side by side. Raises RecipeError for a job that trained nothing."""
    recipes = [recipe_of(run) for run in runs]
    confusions: dict[str, list[list[int]]] = {}
    classes_of: dict[str, tuple[str, ...]] = {}
    for run in runs:
        if results.get(run.id) is not None and (found := confusion_of(Path(run.folder))) is not None:
            confusions[run.id], classes_of[run.id] = found
    return Comparison(rows=tuple(_row(run, recipe, results.get(run.id)) for run, recipe in zip(runs, recipes, strict=True)),
                      differences=differences(recipes) if len(recipes) > 1 else {}, confusion=confusions, classes_of=classes_of,
                      classes=next(iter(classes_of.values()), ()), curves=dict(curves))


def recipe_of(run: Run) -> Recipe:
    """The recipe of a training run; RecipeError for other jobs."""
    if run.recipe is None:
        raise RecipeError(f"{run.name} cannot be compared.", why="It fetched or prepared something; it trained nothing.",
                          remedy="Choose training runs only.")
    return run.recipe


def _row(run: Run, recipe: Recipe, result: Result | None) -> ComparisonRow:
    measured: dict[str, Any] = {}
    if result is not None:
        measured = {name: getattr(result, name) for name in (
            "metrics", "trainable_params", "total_params", "seconds", "marginal_seconds", "estimated_memory_bytes",
            "peak_memory_bytes", "artifact_bytes",
            "steps", "samples", "precision", "device", "dataset_hash")}
    return ComparisonRow(id=run.id, name=run.name, status=run.status, method=recipe.method, seed=recipe.seed, dataset=recipe.dataset,
                         label_budget=recipe.label_budget, freeze=describe(recipe.freeze, (*recipe.freeze.frozen, "", HEAD)), **measured)


def confusion_of(folder: Path, split: str = "test") -> tuple[list[list[int]], tuple[str, ...]] | None:
    """Confusion table and class names of a run folder; None when it has no predictions of that split."""
    table = _predictions(folder, split)
    if table is None:
        return None
    from core.metrics.scores import confusion

    labels, guesses = table["label"].to_numpy(), table["prediction"].to_numpy()
    classes = class_names(folder)
    count = max([len(classes), *(int(values.max()) + 1 for values in (labels, guesses) if len(values))])
    classes += tuple(f"class {i}" for i in range(len(classes), count))
    return confusion(labels, guesses, count).tolist(), classes


def class_names(folder: Path) -> tuple[str, ...]:
    """The label map of a run's artifact; empty when there is none."""
    try:
        data = files.read_json(folder / "artifact" / "labels.json")
    except (OSError, ValueError):  # named by `damage.of_run`
        return ()
    found = data.get("classes") if isinstance(data, dict) else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


def paired(a: Run, b: Run, *, results: tuple[Result | None, Result | None], split: str = "test") -> PairedTest:
    """Compare two runs row by row. Raises NotFoundError without predictions, DataError when the rows are not the same."""
    from core.metrics.paired import compare

    tables = []
    for run, result in zip((a, b), results, strict=True):
        table = _predictions(Path(run.folder), split)
        if table is None and (why := damage.of_run(Path(run.folder)).get(f"predictions-{split}.parquet")):
            raise DataError(f"The predictions of {run.name} cannot be read.", why=f"predictions-{split}.parquet is damaged: {why}.",
                            remedy="Fork the run to make them anew, or leave it out.")
        if table is None or result is None:
            done = result is not None and run.status is Status.DONE
            raise NotFoundError(f"{run.name} has no predictions on {split} rows.",
                                why=f"Its dataset has no {split} row." if done else f"Its state is {run.status}.",
                                remedy=f"Train on a dataset with {split} rows." if done else "Wait until it is done, or resume it.")
        tables.append(table.sort_by("row_id"))
    hashes = [result.dataset_hash for result in results if result is not None]
    same_rows = all(tables[0][column].equals(tables[1][column]) for column in ("row_id", "label"))
    if hashes[0] != hashes[1] or not same_rows:
        raise DataError("These two runs cannot be compared row by row.",
                        why="They were tested on different rows." if hashes[0] == hashes[1] else "They were tested on different datasets.",
                        remedy="Compare runs of the same dataset.")
    name_a, name_b = short_names(a.name, b.name)
    return compare(tables[0]["label"].to_numpy(), tables[0]["prediction"].to_numpy(), tables[1]["prediction"].to_numpy(),
                   name_a=name_a, name_b=name_b)


@dataclass(frozen=True, kw_only=True)
class SeedGroup:
    """Runs that differ in nothing but the seed, and their test scores as one measurement."""

    ids: tuple[str, ...]
    metrics: dict[str, Interval]
    """`accuracy`, `macro_f1`: mean over seeds, with an interval over rows and seeds."""


def seed_groups(runs: Sequence[Run], *, results: Mapping[str, Result | None]) -> tuple[SeedGroup, ...]:
    """The arms among these runs that have two seeds or more, tested on the same rows; in the order of their first run."""
    from core.metrics.seeds import pooled

    arms: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.recipe is not None and (result := results.get(run.id)) is not None:
            arm = run.recipe.replace(seed=0, precision=result.precision)  # what it computed in, where the recipe left that open
            arms.setdefault((repr(arm), result.dataset_hash), []).append(run)
    groups = []
    for members in arms.values():
        by_seed = {run.recipe.seed: run for run in members if run.recipe is not None}  # the same seed twice is one measurement
        tables = [table.sort_by("row_id") for run in by_seed.values() if (table := _predictions(Path(run.folder), "test")) is not None]
        same = len(tables) == len(by_seed) and all(t["row_id"].equals(tables[0]["row_id"]) for t in tables)
        if len(tables) > 1 and same:
            labels, guesses = tables[0]["label"].to_numpy(), [t["prediction"].to_numpy() for t in tables]
            n_classes = max(len(class_names(Path(members[0].folder))), 1 + int(max(labels.max(), *(g.max() for g in guesses))))
            groups.append(SeedGroup(ids=tuple(run.id for run in by_seed.values()),
                                    metrics=pooled(labels, guesses, n_classes=n_classes)))
    return tuple(groups)


def short_names(a: str, b: str) -> tuple[str, str]:
    """Two run names without the experiment's title where they share it."""
    (title_a, _, rest_a), (title_b, _, rest_b) = a.partition(" · "), b.partition(" · ")
    if title_a == title_b and rest_a and rest_b and rest_a != rest_b:
        return rest_a, rest_b
    return (a, b) if a != b else (f"{a} (first)", f"{b} (second)")


def _predictions(folder: Path, split: str) -> Any | None:
    """`predictions-<split>.parquet` of a run as a pyarrow table without the probabilities."""
    import pyarrow.parquet as parquet

    path = folder / f"predictions-{split}.parquet"
    try:
        return parquet.read_table(path, columns=["row_id", "label", "prediction"]) if path.is_file() else None
    except (OSError, ValueError):  # pyarrow's ArrowInvalid is a ValueError; named by `damage.of_run`
        return None
