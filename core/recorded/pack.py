"""Making the recorded example: the finished runs of one experiment become a small archive, without weights and without
texts that may not be handed on."""

from __future__ import annotations

import dataclasses
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import core
from core import files, recorded, values
from core.analysis import aligned, feature_comparison, feature_paths, row_facts, shift_report
from core.analysis.feature_files import BlockFeatures
from core.analysis.sample import DEFAULT_ROWS
from core.data import catalogue as data_catalogue
from core.data import library
from core.data.ingest import REPORT, ROWS
from core.domain import codec
from core.domain.dataset import Dataset
from core.domain.device import Device
from core.domain.model import Weights
from core.domain.run import Result, Run, Status
from core.domain.side import Side, Which
from core.errors import DataError, RecipeError
from core.metrics import primary
from core.models import catalogue as model_catalogue
from core.models import facts as model_facts
from core.models import methods
from core.recorded import Card, Picture, Score, compact, unpack
from core.settings import Settings
from core.share import travel
from core.shift.projection import View
from core.store import Store, dump

DIRECTIONS = 40
"""Of each block's features: what fits in the archive."""
DECIMALS = 2
"""Of positions on the card's picture, whose window is 100 wide."""


def pack(ids: Sequence[str], *, settings: Settings, workspace: str, archive: Path, card: Path,
         directions: int = DIRECTIONS) -> Card:
    """Write archive and card of these runs, which must be done and have features.

    Reports of every run against its base model are measured on the full features and travel as they are; what is
    computed later uses the compact ones.
    """
    store = Store(settings)
    runs = [store.jobs.get(workspace, id) for id in ids]
    dataset = _checked(runs, settings, workspace)
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        folder = Path(temporary) / "home"
        place = folder / "workspaces" / recorded.WORKSPACE
        _copy_runs(runs, place / "runs", texts=data_catalogue.may_hand_on(dataset.source))
        _copy_dataset(dataset, place / "datasets" / dataset.id, settings=settings, workspace=workspace)
        _copy_facts(runs, folder, settings)
        compactor = _compact(runs, folder, settings, directions)
        files.write_json(folder / recorded.DATABASE, dump.rows(store.database, workspace, [run.id for run in runs]),
                         indent=None)
        first = Path(temporary) / "first.tar.xz"
        _archive(folder, first)
        _reports(runs, dataset, folder, trial=Path(temporary) / "trial", first=first, settings=settings,
                 workspace=workspace)
        _archive(folder, archive)
    made = _card(runs, dataset, compactor, settings=settings, workspace=workspace)
    files.write_json(card, codec.to_json(made), indent=None)
    return made


def _checked(runs: Sequence[Run], settings: Settings, workspace: str) -> Dataset:
    """The one dataset of the runs. Raises RecipeError or DataError for runs that cannot be an example."""
    recipes = [run.recipe for run in runs if run.recipe is not None and run.status is Status.DONE]
    if not recipes or len(recipes) < len(runs) or len({(r.dataset, r.base_model) for r in recipes}) > 1:
        raise RecipeError("These runs cannot become an example.", why="All must be done, on one dataset and one model.",
                          remedy="Name the runs of one finished comparison.")
    known = model_catalogue.find(recipes[0].base_model) is not None
    dataset = library.load(recipes[0].dataset, settings=settings, workspace=workspace)
    if not known or data_catalogue.published(dataset.source) is None:
        raise DataError("These runs cannot become an example.", why="Their model or their dataset is not bundled.",
                        remedy="Name runs of a bundled model on a bundled dataset.")
    return dataset


def _copy_runs(runs: Sequence[Run], place: Path, *, texts: bool) -> None:
    for run in runs:
        source = Path(run.folder)
        for path in travel.files(source, quoting=texts):
            target = place / run.id / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _copy_dataset(dataset: Dataset, place: Path, *, settings: Settings, workspace: str) -> None:
    """Row ids, labels and splits; texts where they may be handed on, else instead of each which row it is, and findings
    without the examples they quote."""
    import pyarrow.parquet as pq

    place.mkdir(parents=True)
    rows = library.read_rows(dataset, settings=settings, workspace=workspace)
    if "text" not in rows.column_names:
        raise DataError(f"{dataset.name} cannot become an example.", why="Its rows are pictures.",
                        remedy="Name runs on texts.")
    report = library.read_report(dataset, settings=settings, workspace=workspace).to_json()
    if not data_catalogue.may_hand_on(dataset.source):
        rows = _without_texts(rows, dataset)
        for finding in report["findings"]:
            finding["example"] = ""
        (place / recorded.NO_TEXTS).write_text(dataset.source, encoding="utf-8")
    pq.write_table(rows, place / ROWS, compression="zstd")
    files.write_json(place / "dataset.json", codec.to_json(dataset))
    files.write_json(place / REPORT, report)


def _without_texts(rows: Any, dataset: Dataset) -> Any:
    import pyarrow as pa

    words = [f"Row {row}. Its text is not part of the example; fetch {dataset.name} to read it."
             for row in rows["row_id"].to_pylist()]
    return rows.set_column(rows.column_names.index("text"), "text", pa.array(words, pa.string()))


def _copy_facts(runs: Sequence[Run], folder: Path, settings: Settings) -> None:
    """What is known of the base model and of the machine."""
    for model in {run.recipe.base_model for run in runs if run.recipe}:
        there = model_facts.read(model, settings)
        if there is not None:
            model_facts.write(there, dataclasses.replace(settings, home=folder))
    shutil.copyfile(settings.home / "device.json", folder / "device.json")


def _compact(runs: Sequence[Run], folder: Path, settings: Settings, directions: int) -> compact.Compactor:
    """The features of every run's base model and of its end, under the paths where they are looked for."""
    compactor = compact.Compactor(directions)
    here = dataclasses.replace(settings, home=folder)
    taken = set()
    for run in runs:
        source = feature_paths.of_run(Path(run.folder), settings=settings, rows=DEFAULT_ROWS)
        target = feature_paths.of_run(_run_folder(folder, run), settings=here, rows=DEFAULT_ROWS)
        head = _head(Path(run.folder))
        for there, path in ((source.base, target.base), (source.quantised, target.quantised),
                            (source.tuned, target.tuned)):
            if there is None or path is None or path in taken:
                continue
            taken.add(path)
            found = BlockFeatures.load(there)
            compactor.add(path.relative_to(folder).as_posix(), found,
                          heads={found.names[-1]: head} if head is not None else None)
    compactor.save(folder / recorded.FEATURES)
    return compactor


def _head(run_dir: Path) -> Any:
    """(n_classes, n_dims) of the probe on the base model; None where the run has none."""
    from safetensors.numpy import load_file

    path = run_dir / "artifact" / "base_head.safetensors"
    return load_file(path)["weight"] if path.is_file() else None


def _run_folder(home: Path, run: Run) -> Path:
    return home / "workspaces" / recorded.WORKSPACE / "runs" / run.id


def _pairs(run: Run, settings: Settings) -> list[Which]:
    """What a run is compared with when its features are looked at first."""
    where = feature_paths.of_run(Path(run.folder), settings=settings, rows=DEFAULT_ROWS)
    return [Which.BASE] if where.quantised is None else [Which.BASE, Which.FOUR_BIT]


def _reports(runs: Sequence[Run], dataset: Dataset, folder: Path, *, trial: Path, first: Path, settings: Settings,
             workspace: str) -> None:
    """Put the reports of the full features where those of the compact ones would be looked for."""
    unpack.unpack(first, trial)
    here = dataclasses.replace(settings, home=trial)
    full = row_facts.table(dataset.id, settings=settings, workspace=workspace)
    small = row_facts.table(dataset.id, settings=here, workspace=recorded.WORKSPACE)
    for run in runs:
        for which in _pairs(run, settings):
            source, target = Path(run.folder), _run_folder(trial, run)
            measured = aligned.align(Side.of(source, which), Side.of(source), settings=settings, table=full)
            shift_report.of(measured, settings=settings)
            looked_for = aligned.align(Side.of(target, which), Side.of(target), settings=here, table=small)
            place = shift_report.folder_of(looked_for, settings=dataclasses.replace(settings, home=folder))
            place.mkdir(parents=True, exist_ok=True)
            for path in shift_report.folder_of(measured, settings=settings).glob("report.*"):
                shutil.copyfile(path, place / path.name)


def _archive(folder: Path, path: Path) -> None:
    """One stream, so that what two files share is stored once; no names or times of this machine."""
    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime, member.mode = 0, 0o755 if member.isdir() else 0o644
        return member

    with files.replacing(path) as temporary, tarfile.open(temporary, "w:xz", preset=9) as packed:
        for part in sorted(folder.iterdir()):
            packed.add(part, arcname=part.name, filter=plain)


def _card(runs: Sequence[Run], dataset: Dataset, compactor: compact.Compactor, *, settings: Settings,
          workspace: str) -> Card:
    results = {run.id: found for run in runs if (found := values.read(Path(run.folder) / "result.json", Result))}
    metric = primary(name for result in results.values() for name in result.metrics["test"])
    device = values.read(settings.home / "device.json", Device)
    recipe = runs[0].recipe
    if metric is None or device is None or recipe is None:
        raise DataError("These runs cannot become an example.", why="They have no test score, or no device is known.")
    scores = []
    for run in runs:
        card, test = methods.card_of(run.recipe.method if run.recipe else ""), results[run.id].metrics["test"]
        interval = test[metric.name]
        scores.append(Score(run=run.id, label=card.label, colour_index=card.colour_index, value=interval.value,
                            low=interval.low, high=interval.high))
    model = model_catalogue.find(recipe.base_model)
    return Card(title=f"{dataset.name}, {model.name.split(' (')[0] if model else recipe.base_model}",
                dataset=dataset.source, model=recipe.base_model, experiment=runs[0].experiment or "",
                runs=tuple(run.id for run in runs), effort=recipe.effort, made=max(run.finished or 0.0 for run in runs),
                machine=device, version=core.__version__,
                seconds=sum((run.finished or 0.0) - (run.started or 0.0) for run in runs),
                directions=compactor.directions, captured=(min(compactor.captured), max(compactor.captured)),
                metric=metric.name, scores=tuple(scores),
                picture=_picture(runs, dataset, settings=settings, workspace=workspace))


def _picture(runs: Sequence[Run], dataset: Dataset, *, settings: Settings, workspace: str) -> Picture:
    """The last block before and after, as the Features page maps it, of the run that trained most of the published
    weights; in a window of 100 by 100."""
    run = max(runs, key=_trained)
    side = Side.of(Path(run.folder))
    compared = feature_comparison.compare(Side.of(Path(run.folder), Which.BASE), side, names=("before", "after"),
                                          dataset=dataset, settings=settings, workspace=workspace, rows=DEFAULT_ROWS)
    last = len(compared.shift.blocks) - 1
    drawn = compared.map(last, View.UNION)
    labels = compared.labels
    if drawn is None or labels is None:
        raise DataError("These runs cannot become an example.", why="Their features cannot be drawn on one map.")
    low = min(float(side.min()) for side in (drawn.base, drawn.tuned))
    high = max(float(side.max()) for side in (drawn.base, drawn.tuned))
    before, after = (tuple((round(float(x), DECIMALS), round(float(y), DECIMALS))
                           for x, y in (side - low) / (high - low) * 100) for side in (drawn.base, drawn.tuned))
    return Picture(label=methods.card_of(run.recipe.method if run.recipe else "").label,
                   block=compared.shift.blocks[last].name, classes=dataset.classes, labels=tuple(map(int, labels)),
                   before=before, after=after)


def _trained(run: Run) -> int:
    """Parameters that a run trained of those it was given; 0 for one from fresh weights."""
    result = values.read(Path(run.folder) / "result.json", Result)
    given = run.recipe is not None and methods.card_of(run.recipe.method).weights is not Weights.FRESH
    return result.trainable_params if result and given else 0
