"""Finished runs as an archive that another Thaw takes in: recipes, results, predictions, curves; no weights.

A ZIP of JSON, Parquet and safetensors, whose manifest holds the SHA-256 of every member.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import core
from core import files
from core.analysis import fault_report, feature_paths
from core.analysis.sample import DEFAULT_ROWS
from core.data import library
from core.data.ingest import REPORT, ROWS
from core.domain import codec
from core.domain.dataset import Content, Dataset
from core.domain.run import Run
from core.errors import DataError, ThawError
from core.models import origin
from core.settings import Settings
from core.share import private, travel
from core.share.manifest import (
    DATABASE,
    DATASET_FACTS,
    DATASETS,
    FORMAT,
    MANIFEST,
    RUNS,
    SHARED,
    Manifest,
    Member,
)
from core.store import Store, dump

_WHEN = (1980, 1, 1, 0, 0, 0)


@dataclass
class _Writer:
    """The ZIP as it is written, and what the manifest will say of it."""

    packed: zipfile.ZipFile
    members: dict[str, Member] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)

    def bytes(self, name: str, data: bytes) -> None:
        entry = zipfile.ZipInfo(name, _WHEN)
        entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
        self.packed.writestr(entry, data)
        self.members[name] = Member(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))

    def json(self, name: str, value: Any) -> None:
        self.bytes(name, json.dumps(value, ensure_ascii=False).encode())

    def file(self, name: str, path: Path) -> None:
        """A file as it is."""
        entry = zipfile.ZipInfo(name, _WHEN)
        entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as source, self.packed.open(entry, "w", force_zip64=True) as target:
            while piece := source.read(1 << 20):
                digest.update(piece)
                size += len(piece)
                target.write(piece)
        self.members[name] = Member(sha256=digest.hexdigest(), bytes=size)


def write(ids: Sequence[str], target: Path, *, settings: Settings, workspace: str, title: str, rows: bool = False,
          features: bool = False) -> Manifest:
    """Write the archive of these runs, which must have ended.

    rows: with the texts of their datasets, and what language models were asked and answered. features: with those of
    every run that has them, and of its base model. Raises DataError for runs under way, or pictures that are wanted.
    """
    store = Store(settings)
    runs = [store.jobs.get(workspace, id) for id in dict.fromkeys(ids)]
    if not runs or any(run.recipe is None or not run.status.final for run in runs):
        raise DataError("These runs cannot become an archive yet.", why="Some of them are still under way, or trained "
                        "nothing.", remedy="Wait until they have ended, or choose others.")
    with files.replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        writer = _Writer(packed)
        writer.json(DATABASE, _database(store, workspace, runs))
        datasets = _datasets(writer, runs, settings, workspace, rows=rows)
        for run in runs:
            _run(writer, run, datasets, settings, quoting=rows)
            if features:
                _features(writer, run, settings)
        made = Manifest(format=FORMAT, title=title, thaw=core.__version__, made=time.time(), rows=rows,
                        features=features, members=writer.members, shared=writer.shared)
        writer.bytes(MANIFEST, json.dumps(codec.to_json(made), ensure_ascii=False).encode())
    return made


def _database(store: Store, workspace: str, runs: Sequence[Run]) -> dict[str, Any]:
    """Entries, experiments and events, without what is about this machine."""
    found = dump.rows(store.database, workspace, [run.id for run in runs])
    for job in found["jobs"]:
        job["recipe"] = json.dumps(_recipe(json.loads(job["recipe"])))
        job["payload"] = "{}"
        if job["failure"]:
            job["failure"] = json.dumps(_clean(json.loads(job["failure"])))
    for experiment in found["experiments"]:
        if experiment["asked"]:
            experiment["asked"] = json.dumps(_asked(json.loads(experiment["asked"])))
    for event in found["events"]:
        if event["kind"] in ("note", "failure"):
            event["data"] = json.dumps(_clean(json.loads(event["data"])))
    return found


def _recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {"base_model": private.model(str(recipe.get("base_model", "")))}


def _asked(experiment: dict[str, Any]) -> dict[str, Any]:
    """A question with its arms, whose recipes and labels may name a folder of this machine."""
    return experiment | {"arms": [arm | {"recipe": _recipe(arm["recipe"]), "label": fault_report.clean(arm["label"])}
                                  for arm in experiment["arms"]]}


def _clean(said: Mapping[str, Any]) -> dict[str, Any]:
    """Words of a failure or a note without paths and names of this machine."""
    return {key: fault_report.clean(value) if isinstance(value, str) and key != "kind" else value
            for key, value in said.items()}


def _run(writer: _Writer, run: Run, datasets: Mapping[str, Dataset], settings: Settings, *, quoting: bool) -> None:
    folder = Path(run.folder)
    for path in travel.files(folder, quoting=quoting):
        name = f"{RUNS}/{run.id}/{path.relative_to(folder).as_posix()}"
        if path.name == "recipe.json":
            writer.json(name, _recipe(dict(json.loads(path.read_text(encoding="utf-8")))))
        elif path.suffix in (".json", ".jsonl"):
            writer.bytes(name, private.text(path.read_text(encoding="utf-8", errors="replace"), settings).encode())
        else:
            writer.file(name, path)
    known = datasets.get(run.recipe.dataset) if run.recipe else None
    kept = f"{RUNS}/{run.id}/{DATASET_FACTS}"
    if known is not None and known.content_hash == origin.of(folder).dataset_hash and kept not in writer.members:
        writer.json(kept, _facts(known))


def _facts(dataset: Dataset) -> Any:
    """What is known of a dataset without quoting its rows."""
    return codec.to_json(dataclasses.replace(dataset, answers=()))


def _datasets(writer: _Writer, runs: Sequence[Run], settings: Settings, workspace: str, *,
              rows: bool) -> dict[str, Dataset]:
    """The datasets of the runs, by what recipes call them; with rows, those of texts go into the archive."""
    found: dict[str, Dataset] = {}
    for ref in dict.fromkeys(run.recipe.dataset for run in runs if run.recipe):
        dataset = library.find(ref, settings=settings, workspace=workspace)
        if dataset is None:
            continue
        found[ref] = dataset
        if not rows or f"{DATASETS}/{dataset.id}/{ROWS}" in writer.members:
            continue
        if dataset.task.content is Content.PICTURE:
            raise DataError(f"The rows of {dataset.name} do not go into an archive.", why="They are pictures.",
                            remedy="Leave the rows out, and hand the pictures on as they are.")
        place = library.folder(dataset, settings=settings, workspace=workspace)
        library.verify(dataset, settings=settings, workspace=workspace)
        writer.json(f"{DATASETS}/{dataset.id}/dataset.json", codec.to_json(dataset))
        for path in (place / ROWS, place / REPORT):
            if path.is_file():
                writer.file(f"{DATASETS}/{dataset.id}/{path.name}", path)
    return found


def _features(writer: _Writer, run: Run, settings: Settings) -> None:
    """A run's features and its base model's, these once for all runs; nothing where they are not all there."""
    folder, place = Path(run.folder), f"{RUNS}/{run.id}"
    try:
        paths = feature_paths.of_run(folder, settings=settings, rows=DEFAULT_ROWS)
    except ThawError:
        return
    if not paths.ready:
        return
    for path in (paths.tuned, *paths.steps.values()):
        writer.file(f"{place}/{path.relative_to(folder).as_posix()}", path)
    for four_bit, base in ((False, paths.base), (True, paths.quantised)):
        if base is not None:
            kept = feature_paths.own_base_of(folder, DEFAULT_ROWS, four_bit=four_bit)
            member = f"{SHARED}/{files.sha256(base)}.safetensors"
            if member not in writer.members:
                writer.file(member, base)
            writer.shared[f"{place}/{kept.relative_to(folder).as_posix()}"] = member
    known = dataclasses.replace(paths.facts, id=private.model(paths.facts.id))
    if f"{place}/{feature_paths.OWN_FACTS}" not in writer.members:
        writer.json(f"{place}/{feature_paths.OWN_FACTS}", codec.to_json(known))

