"""The `import` job: read, check and keep a file in a worker, so that the web process never loads it."""

from __future__ import annotations

import dataclasses
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import files
from core.data import (
    attach,
    forms,
    found,
    hub,
    ingest,
    library,
    made_shift,
    mending,
    mends,
    meter,
    recheck,
    shapes,
    tables,
    uploads,
)
from core.data.check import Examined, Options, examine
from core.data.readers.table import Table
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.run import Observer, Phase
from core.settings import Settings

REPORT = "report.json"
"""In the job's folder: the import report, whether or not the rows were kept."""
STAGED = "staged"
"""In the job's folder: rows of a shift set that was only looked at so far."""


class _Stopped(Exception):
    """A person asked for the import to stop; nothing was kept."""


def payload(*, path: Path | None = None, hub_set: Mapping[str, str | None] | None = None, name: str = "",
            roles: Mapping[str, str] | None = None, options: Options | None = None, shift_of: str | None = None,
            keep: bool = True, discard: bool = False, task: str | None = None,
            form: str | None = None) -> dict[str, Any]:
    """What `run` needs, as plain JSON. Exactly one of `path` and `hub_set` ({id, configuration, split}).

    roles: column -> role; proposed when None, for the task and the form (`forms.Form`) if they are said. shift_of: id
    of a dataset that the rows become the shift set of: it is attached in place, and they become no dataset of their
    own. keep: False only makes the report. discard: remove an upload once its rows are kept. A hub set is fetched as an
    upload, nothing more: its columns are looked at before its rows are imported.
    """
    chosen = {key: value for key, value in codec.to_json(options or Options()).items() if key != "tokenizer"}
    return {"path": str(path) if path else None, "hub": dict(hub_set) if hub_set else None, "name": name,
            "roles": {k: str(v) for k, v in roles.items()} if roles is not None else None, "options": chosen,
            "shift_of": shift_of, "keep": keep, "discard": discard, "wanted": {"task": task, "form": form}}


def mend_payload(dataset: str, steps: Sequence[mends.Step]) -> dict[str, Any]:
    """A mend in place; see `core.data.mending`."""
    return {"mend": {"dataset": dataset, "steps": codec.to_json(tuple(steps))}}


def recheck_payload(dataset: str) -> dict[str, Any]:
    """The rows of a dataset looked at again; see `core.data.recheck`."""
    return {"recheck": dataset}


def made_payload(dataset: str, *, kind: str, severity: int, seed: int = 0) -> dict[str, Any]:
    """A shift set made from a dataset's test rows; see `core.data.made_shift`."""
    return {"make_shift": {"dataset": dataset, "kind": kind, "severity": severity, "seed": seed}}


def shift_payload(of: str, *, path: Path | None = None, other: str | None = None, staged: Path | None = None,
                  name: str = "", roles: Mapping[str, str] | None = None, options: Options | None = None,
                  labels: Mapping[str, str] | None = None, drop_leaks: bool = False,
                  keep: bool = False) -> dict[str, Any]:
    """A shift set of the dataset `of`: a file (`path`), a dataset (`other`), or rows that a look has read (`staged`).

    keep: False only looks, and reads a file into the job's folder (`staged` of the result). labels: shift label ->
    class, chosen by hand. An upload is removed once its rows are read.
    """
    chosen = {key: value for key, value in codec.to_json(options or Options()).items() if key != "tokenizer"}
    return {"shift": {"of": of, "other": other, "staged": str(staged) if staged else None, "labels": dict(labels or {}),
                      "drop_leaks": drop_leaks, "keep": keep},
            "path": str(path) if path else None, "name": name, "options": chosen, "discard": True,
            "roles": {k: str(v) for k, v in roles.items()} if roles is not None else None}


def run(payload: Mapping[str, Any], *, settings: Settings, workspace: str, folder: Path,
        observer: Observer) -> dict[str, Any]:
    """Do an import; returns {dataset, rows_read, rows_kept, left_out, errors, findings} with the id of the new dataset
    or None.

    Of a hub set: {dataset: None, path} with the path of the upload that it became. The report is written to `folder`
    before anything can refuse the rows. Raises DataError and FetchError; a stop returns {"stopped": True} and keeps
    nothing.
    """
    observer.phase(Phase.FETCHING if payload.get("hub") else Phase.PREPARING)

    def watch(stage: str, done: int, total: int | None) -> None:
        observer.progress(done, total, meter.unit(stage), stage)
        if observer.should_stop():
            raise _Stopped

    try:
        with meter.watched(watch):
            if payload.get("hub"):
                return _fetch(payload["hub"], settings=settings, workspace=workspace)
            if payload.get("mend"):
                return _mend(payload["mend"], settings=settings, workspace=workspace)
            if payload.get("make_shift"):
                asked = payload["make_shift"]
                made = made_shift.make(library.load(asked["dataset"], settings=settings, workspace=workspace),
                                       kind=asked["kind"], severity=asked["severity"], seed=asked["seed"],
                                       settings=settings, workspace=workspace).dataset
                return {"dataset": made.id, "rows_kept": made.rows_kept}
            if payload.get("recheck"):
                dataset = library.load(payload["recheck"], settings=settings, workspace=workspace)
                recheck.dataset(dataset, settings=settings, workspace=workspace)
                return {"dataset": dataset.id}
            if payload.get("shift"):
                return _shift(payload, settings=settings, workspace=workspace, folder=folder)
            return _import(payload, settings=settings, workspace=workspace, folder=folder)
    except _Stopped:
        return {"stopped": True, "dataset": None}


def _fetch(hub_set: Mapping[str, str | None], *, settings: Settings, workspace: str) -> dict[str, Any]:
    """Bring a hub set into an upload folder of its own, so that it goes the way of every upload from there."""
    home = uploads.folder(settings, workspace) / secrets.token_hex(6)
    try:
        path = hub.download(str(hub_set["id"]), configuration=hub_set.get("configuration"), split=hub_set.get("split"),
                            dest=home, settings=settings)
        uploads.write_origin(path, hub_set)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    return {"dataset": None, "path": str(path)}


def _mend(asked: Mapping[str, Any], *, settings: Settings, workspace: str) -> dict[str, Any]:
    dataset = library.load(asked["dataset"], settings=settings, workspace=workspace)
    steps = [codec.from_json(mends.Step, step) for step in asked["steps"]]
    new = mending.mend(dataset, steps, settings=settings, workspace=workspace)
    return {"dataset": new.id, "rows_kept": new.rows_kept}


def _shift(payload: Mapping[str, Any], *, settings: Settings, workspace: str, folder: Path) -> dict[str, Any]:
    """Look at a shift set, or attach it. A look returns {dataset: None, staged, matched, unmatched, labels}."""
    asked = payload["shift"]
    base = library.load(asked["of"], settings=settings, workspace=workspace)
    if asked["other"]:
        place = library.folder(asked["other"], settings=settings, workspace=workspace)
    elif asked["staged"]:
        place = Path(asked["staged"])
    else:
        place = _staged(payload, base, settings=settings, workspace=workspace, folder=folder)
    other = ingest.read_dataset(place)
    if asked["keep"]:
        made = attach.attach(base, other, settings=settings, workspace=workspace, labels=asked["labels"], place=place,
                             drop_leaks=asked["drop_leaks"], in_place=True)
        if place.parent.name == STAGED:                              # what a look has read
            shutil.rmtree(place.parent, ignore_errors=True)
        return {"dataset": made.dataset.id, "unmatched": made.unmatched, "leaks": made.repeated}
    own = library.folder(base, settings=settings, workspace=workspace)
    seen = attach.look(base, other, places=(own, place), labels=asked["labels"], drop_leaks=asked["drop_leaks"])
    folder.mkdir(parents=True, exist_ok=True)
    found.write(folder, seen.findings, None)
    files.write_json(folder / REPORT, attach.report(other, seen, place).to_json())
    return {"dataset": None, "staged": str(place), "matched": seen.matched, "unmatched": seen.unmatched,
            "labels": list(other.classes)}


def _staged(payload: Mapping[str, Any], base: Dataset, *, settings: Settings, workspace: str, folder: Path) -> Path:
    """Read a shift file into the job's folder: a dataset folder that is in no list."""
    quick = {**payload, "options": {**(payload.get("options") or {}), "thorough": False}}
    _table, examined = _examined(quick, base, settings=settings)      # pictures live as long as their table
    if not len(examined.rows):
        examined.report.raise_errors()
    path = Path(payload["path"])
    made = ingest.write(examined, name=payload.get("name") or path.stem, folder=folder / STAGED, source=_source(path))
    if payload.get("discard"):
        uploads.discard(path, uploads.folder(settings, workspace))
    return folder / STAGED / made.id


def _source(path: Path) -> str:
    return str((uploads.origin(path) or {}).get("id") or path.name)


def _examined(payload: Mapping[str, Any], base: Dataset | None, *, settings: Settings) -> tuple[Table, Examined]:
    """Read and check a file. base: the dataset whose shift set it is; its pictures are read alike."""
    path = Path(payload["path"])
    uploads.look_at(path)
    meter.report("reading", 0)
    table = tables.read(path, settings=uploads.limits(path, settings))
    chosen = _chosen(table, payload, base)
    options = codec.from_json(Options, dict(payload.get("options") or {}))
    if base is not None and base.reading is not None:
        options = dataclasses.replace(options, depth=base.reading.depth)
    return table, examine(table, roles=chosen.roles, settings=settings, options=options, evidence=chosen.evidence,
                          why=chosen.why)


def _import(payload: Mapping[str, Any], *, settings: Settings, workspace: str, folder: Path) -> dict[str, Any]:
    if payload.get("shift_of"):
        labels = {"of": payload["shift_of"], "other": None, "staged": None, "labels": {}, "drop_leaks": False}
        return _shift({**payload, "shift": {**labels, "keep": payload.get("keep", True)}}, settings=settings,
                      workspace=workspace, folder=folder)
    path = Path(payload["path"])
    table, examined = _examined(payload, None, settings=settings)
    report = examined.report
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / REPORT, report.to_json())
    summary: dict[str, Any] = {"dataset": None, "rows_read": report.rows_read, "rows_kept": report.rows_kept,
                               "left_out": len(report.left_out), "errors": len(report.errors),
                               "findings": len(report.findings)}
    if not payload.get("keep", True):
        return summary
    source = str((uploads.origin(path) or {}).get("id") or table.name)
    dataset = ingest.accept(examined, name=payload.get("name") or path.stem, source=source, settings=settings,
                            workspace=workspace)
    if payload.get("discard"):
        uploads.discard(path, uploads.folder(settings, workspace))
    return {**summary, "dataset": dataset.id}


def _chosen(table: Table, payload: Mapping[str, Any], base: Dataset | None) -> forms.Chosen:
    """The roles that a person gave, or those proposed: for a shift set of the task of its dataset."""
    given = payload.get("roles")
    if given is None:
        asked = payload.get("wanted") or {}
        wanted = forms.Wanted(task=Task(asked["task"]) if asked.get("task") else None, form=asked.get("form"))
        return shapes.choose(table, wanted if base is None else wanted.like(base))
    return shapes.given(given)
