"""An archive of runs taken in: checked whole before anything of it is kept, then beside the workspace's own runs.

Everything gets a new id here, and every entry says that it was imported; nothing of it is ever worked on. What all
workspaces share (base models, cached features) is not touched.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import disk, files
from core.data import archive as archives
from core.data import catalogue, library, seal
from core.data.ingest import REPORT, ROWS
from core.domain import codec
from core.domain.dataset import Dataset, Split
from core.domain.experiment import Experiment
from core.domain.recipe import Recipe
from core.domain.run import Failure, JobKind, Status
from core.errors import DataError, NewerVersionError
from core.settings import Settings
from core.share.manifest import DATABASE, DATASETS, FORMAT, MANIFEST, RUNS, SHARED, Manifest
from core.store import Store, dump
from core.store.schema import MIGRATIONS

MOST_BYTES, MOST_FILES, MOST_RUNS = 4_000_000_000, 20_000, 2_000
NAME_CHARACTERS = 120
MARK = " (imported)"
"""Behind the name of an experiment."""
PAST_S = 3600.0
"""Runs ended at least so long ago: a start of that time cannot be undone."""
EVENTS = ("phase", "step", "eval", "note", "failure", "result")
_RUN, _DATASET = r"[0-9a-f]{6,64}", r"[0-9a-f]{16}"
_FILE = r"\w[\w.-]*"
_NAME = re.compile(rf"{DATABASE}|{SHARED}/[0-9a-f]{{64}}\.safetensors"
                   rf"|{DATASETS}/{_DATASET}/(dataset\.json|{re.escape(ROWS)}|{re.escape(REPORT)})"
                   rf"|{RUNS}/{_RUN}/({_FILE}\.(json|jsonl|parquet)|artifact/({_FILE}\.json|base_head\.safetensors)"
                   rf"|features/{_FILE}\.(json|safetensors))")
"""Members that there may be: no weights, nothing that is run."""
_ANEW = "Ask for the archive again: it may have been cut off on its way."


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What came of an archive."""

    title: str
    experiments: tuple[str, ...]
    runs: tuple[str, ...]
    datasets: tuple[str, ...]
    """Ids of datasets that came with it and were not here."""


def take_in(path: Path, *, settings: Settings, workspace: str) -> Taken:
    """Check an archive and keep its runs in a workspace: all of it or nothing.

    Raises DataError for what is no archive of Thaw, leads out of its folder, is larger than it may be, does not match
    its manifest, or was taken in before; NewerVersionError for one of a newer Thaw.
    """
    if shortage := disk.shortage(settings):
        raise shortage
    store = Store(settings)
    store.database.check_open()
    runs = settings.workspace(workspace) / "runs"
    with files.temporary_folder(runs) as folder:
        # 1. All of it on disk, each member as the manifest says.
        archives.unpack_zip(path, folder, max_files=MOST_FILES, max_bytes=MOST_BYTES)
        manifest, digest = _manifest(folder, path.name)
        _check_members(folder, manifest)
        if any(_mark(run.payload).get("archive") == digest for run in store.jobs.list(workspace, kind=JobKind.TRAIN)):
            raise DataError("This archive was imported before.", why=f"Its runs are here, as {manifest.title!r}.",
                            remedy="Open them on the Runs page; delete that experiment first to import them anew.")
        # 2. Its entries under new ids.
        rows = _Rows.read(folder / DATABASE, manifest, digest, workspace=workspace, runs=runs)
        _share(folder, manifest)
        # 3. Kept.
        datasets = _datasets(folder, settings, workspace)
        _keep(folder, rows, store)
    return Taken(title=manifest.title, experiments=tuple(rows.experiments), runs=tuple(rows.ids.values()),
                 datasets=datasets)


def _refused(why: str) -> DataError:
    return DataError("The archive was not imported.", why=why, remedy=_ANEW)


def _manifest(folder: Path, name: str) -> tuple[Manifest, str]:
    """The manifest and its SHA-256."""
    path = folder / MANIFEST
    try:
        found = files.read_json(path)
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise DataError(f"{name} is no archive of runs.", why=f"It holds no {MANIFEST} of Thaw.",
                            remedy="Choose a file that was made with Share, or import data on the Data page.")
        return codec.read(Manifest, found), files.sha256(path)
    except NewerVersionError:
        raise
    except (ValueError, RecursionError) as error:
        raise _refused(f"Its {MANIFEST} is damaged ({str(error)[:120]}).") from error


def _check_members(folder: Path, manifest: Manifest) -> None:
    """Every member is named in the manifest, is what that says of it, and is of a kind that belongs here."""
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    there.pop(MANIFEST)
    if unknown := sorted(there.keys() ^ manifest.members.keys()):
        raise _refused(f"{unknown[0][:120]} is in the archive or in its {MANIFEST}, and not in both.")
    for name, path in there.items():
        if not _NAME.fullmatch(name):
            raise _refused(f"{name[:120]!r} is no file that belongs into an archive of runs.")
        if path.stat().st_size != manifest.members[name].bytes or files.sha256(path) != manifest.members[name].sha256:
            raise _refused(f"{name[:120]} is not the file whose checksum the archive names.")
    for target, source in manifest.shared.items():
        if not _NAME.fullmatch(target) or not target.startswith(f"{RUNS}/") or source not in there or target in there:
            raise _refused(f"It names {target[:120]!r} as a copy of {source[:120]!r}, which cannot be.")


def _share(folder: Path, manifest: Manifest) -> None:
    """Put what runs share into the folder of each."""
    for target, source in manifest.shared.items():
        place = folder / target
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(folder / source, place)
        except OSError:
            shutil.copyfile(folder / source, place)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """The archive's entries as this workspace keeps them."""

    ids: Mapping[str, str]
    """Id in the archive -> id here."""
    experiments: Mapping[str, dict[str, Any]]
    """Id here -> row."""
    jobs: list[dict[str, Any]]
    events: list[dict[str, Any]]

    @staticmethod
    def read(path: Path, manifest: Manifest, digest: str, *, workspace: str, runs: Path) -> _Rows:
        """Raises DataError for entries that are not of ended runs."""
        try:
            found: dict[str, Any] = files.read_json(path) or {}
            if int(found["schema"]) > len(MIGRATIONS):
                raise NewerVersionError("The archive was written by a newer version of Thaw.",
                                        why=f"Its entries have schema {int(found['schema'])}; this version reads up to "
                                            f"{len(MIGRATIONS)}.", remedy="Update Thaw. Nothing was imported.")
            jobs = list(found["jobs"])
            if not 0 < len(jobs) <= MOST_RUNS:
                raise ValueError(f"it holds {len(jobs)} runs")
            ids = {_text(job["id"], _RUN): secrets.token_hex(6) for job in jobs}
            if len(ids) < len(jobs):
                raise ValueError("two runs have one id")
            experiments, of = _experiments(found["experiments"], jobs, ids, manifest.title, workspace)
            mark = {"title": manifest.title[:NAME_CHARACTERS], "thaw": manifest.thaw[:40], "made": _when(manifest.made),
                    "archive": digest}
            return _Rows(ids=ids, experiments=experiments, events=_events(found["events"], ids), jobs=[
                {**_job(job), "id": ids[job["id"]], "workspace": workspace, "experiment": of[job["experiment"]],
                 "folder": str(runs / ids[job["id"]]), "parent": ids.get(job.get("parent") or ""),
                 "payload": json.dumps({"imported": mark})} for job in jobs])
        except NewerVersionError:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _refused(f"Its {DATABASE} is damaged ({str(error)[:120]}).") from error


def _experiments(found: list[dict[str, Any]], jobs: list[dict[str, Any]], ids: Mapping[str, str], title: str,
                 workspace: str) -> tuple[dict[str, dict[str, Any]], dict[str | None, str]]:
    """Rows of the experiments by their new ids, and the new id for each old one; a run by itself gets one, too."""
    named = {str(each["id"]): (str(each["name"]), _when(each["created"]) or 0.0, _asked(each.get("asked"), ids))
             for each in found}
    made: dict[str, dict[str, Any]] = {}
    of: dict[str | None, str] = {}
    for old in dict.fromkeys(job["experiment"] for job in jobs):
        name, created, asked = named.get(str(old), (title, _when(jobs[0]["created"]) or 0.0, None))
        of[old] = secrets.token_hex(6)
        made[of[old]] = {"id": of[old], "workspace": workspace, "created": created, "asked": asked,
                         "name": name[:NAME_CHARACTERS - len(MARK)].removesuffix(MARK) + MARK}
    return made, of


def _asked(document: str | None, ids: Mapping[str, str]) -> str | None:
    """The question of an experiment, read and written anew; None where no design laid it out."""
    if not document:
        return None
    found = codec.read(Experiment, json.loads(document))
    if not 0 < found.runs <= MOST_RUNS:
        raise ValueError(f"an experiment has {found.runs} runs")
    taken = tuple(ids[run] for run in found.taken if run in ids)
    return json.dumps(codec.to_json(dataclasses.replace(found, taken=taken)))


def _job(job: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as it is kept: what is not named here does not come in."""
    status = Status(job["status"])
    if not status.final:
        raise ValueError(f"the run {job['id']} has not ended")
    recipe = Recipe.from_json(json.loads(job["recipe"]))
    failure = codec.read(Failure, json.loads(job["failure"])) if job.get("failure") else None
    renamed = job.get("renamed")
    return {"kind": JobKind.TRAIN.value, "name": str(job["name"])[:200], "status": status.value,
            "recipe": json.dumps(recipe.to_json()), "failure": json.dumps(codec.to_json(failure)) if failure else None,
            "created": _when(job["created"]) or 0.0, "started": _when(job.get("started")),
            "finished": _when(job.get("finished")), "attempts": max(1, int(job.get("attempts") or 1)),
            "renamed": None if renamed is None else int(bool(renamed))}


def _events(found: list[dict[str, Any]], ids: Mapping[str, str]) -> list[dict[str, Any]]:
    """The events of these runs, of the kinds that pages read."""
    kept = []
    for event in found:
        data = json.loads(event["data"])
        if event["run"] in ids and event["kind"] in EVENTS and isinstance(data, dict):
            kept.append({"run": ids[event["run"]], "seq": int(event["seq"]), "time": _finite(event["time"]),
                         "kind": str(event["kind"]), "data": json.dumps(data)})
    return kept


def _text(value: Any, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{value!r:.60} is no id")
    return value


def _when(value: Any) -> float | None:
    """A time that is past."""
    return None if value is None else max(0.0, min(_finite(value), time.time() - PAST_S))


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no time")
    return number


def _datasets(folder: Path, settings: Settings, workspace: str) -> tuple[str, ...]:
    """Keep the datasets that came with it and are not here, each checked against its own hash."""
    kept = []
    for place in sorted((folder / DATASETS).glob("*")):
        if library.find(place.name, settings=settings, workspace=workspace) is not None:
            continue
        try:
            dataset = codec.read(Dataset, files.read_json(place / "dataset.json"))
        except ValueError as error:
            raise _refused(f"Its dataset {place.name} is damaged ({str(error)[:120]}).") from error
        if dataset.id != place.name:
            raise _refused(f"Its dataset {place.name} calls itself {dataset.id[:40]!r}.")
        entry = catalogue.published(dataset.source)
        if entry is not None and entry.content_hash != dataset.content_hash:  # it only says that it is a bundled one
            files.write_json(place / "dataset.json", codec.to_json(replace(dataset, source="an imported archive")))
        _check_rows(place, dataset)
        seal.write(place)
        files.move(place, library.folder(dataset, settings=settings, workspace=workspace))
        kept.append(dataset.id)
    return tuple(kept)


def _check_rows(place: Path, dataset: Dataset) -> None:
    """DataError where these are not the rows of the dataset's hash; of a set with a joined shift set, whose hash is
    made otherwise, the manifest's checksum has to do."""
    rows = library.rows_of(place, dataset)
    try:
        names = [dataset.class_name(label) for label in rows["label"].to_pylist()]
        groups = rows["group"].to_pylist() if dataset.groups else None
        found = seal.row_hash(rows["row_id"].to_pylist(), rows["text"].to_pylist(), names, rows["split"].to_pylist(),
                              groups)
    except (KeyError, IndexError, TypeError) as error:
        raise _refused(f"The rows of its dataset {dataset.name[:60]!r} are damaged ({str(error)[:80]}).") from error
    if not dataset.content_hash.startswith(dataset.id) or (
            found != dataset.content_hash and not dataset.rows(Split.SHIFT)):
        raise _refused(f"The rows of its dataset {dataset.name[:60]!r} are not those of its hash.")


def _keep(folder: Path, rows: _Rows, store: Store) -> None:
    """Folders first, then the entries in one step; what was moved goes again where that fails."""
    moved: list[Path] = []
    try:
        for job, old in zip(rows.jobs, rows.ids, strict=True):
            source, target = folder / RUNS / old, Path(job["folder"])
            source.mkdir(parents=True, exist_ok=True)  # of a run that failed at once nothing may be left
            files.move(source, target)
            moved.append(target)
        with store.database.write() as connection:
            ticket = connection.execute("SELECT coalesce(max(ticket), 0) FROM jobs").fetchone()[0]
            for experiment in rows.experiments.values():
                dump.insert(connection, "experiments", experiment)
            for number, job in enumerate(rows.jobs, 1):
                dump.insert(connection, "jobs", {**job, "ticket": ticket + number})
            for event in rows.events:
                dump.insert(connection, "events", event)
    except BaseException:
        for target in moved:
            files.remove_folder(target)
        raise


def _mark(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    found = payload.get("imported")
    return found if isinstance(found, dict) else {}
