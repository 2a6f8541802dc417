"""The `import` job: read, check and keep a file in a worker, so that the web process never loads it."""

from __future__ import annotations

import dataclasses
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import files
from core.data import attach, hub, ingest, library, meter, tables, uploads
from core.data import roles as role_finder
from core.data.check import Options, examine
from core.domain import codec
from core.domain.run import Observer, Phase
from core.settings import Settings

REPORT = "report.json"
"""In the job's folder: the import report, whether or not the rows were kept."""


class _Stopped(Exception):
    """A person asked for the import to stop; nothing was kept."""


def payload(*, path: Path | None = None, hub_set: Mapping[str, str | None] | None = None, name: str = "",
            roles: Mapping[str, str] | None = None, options: Options | None = None, shift_of: str | None = None,
            keep: bool = True, discard: bool = False) -> dict[str, Any]:
    """What `run` needs, as plain JSON. Exactly one of `path` and `hub_set` ({id, configuration, split}).

    roles: column -> role; proposed when None. shift_of: id of a dataset that the rows become the shift set of. keep:
    False only makes the report. discard: remove an upload once its rows are kept. A hub set is fetched as an upload,
    nothing more: its columns are looked at before its rows are imported.
    """
    chosen = {key: value for key, value in codec.to_json(options or Options()).items() if key != "tokenizer"}
    return {"path": str(path) if path else None, "hub": dict(hub_set) if hub_set else None, "name": name,
            "roles": {k: str(v) for k, v in roles.items()} if roles is not None else None, "options": chosen,
            "shift_of": shift_of, "keep": keep, "discard": discard}


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


def _import(payload: Mapping[str, Any], *, settings: Settings, workspace: str, folder: Path) -> dict[str, Any]:
    path = Path(payload["path"])
    uploads.look_at(path)
    meter.report("reading", 0)
    table = tables.read(path, settings=uploads.limits(path, settings))
    roles, evidence = _roles(table, payload.get("roles"))
    options = codec.from_json(Options, dict(payload.get("options") or {}))
    base = (library.load(payload["shift_of"], settings=settings, workspace=workspace) if payload.get("shift_of")
            else None)
    if base is not None and base.reading is not None:
        options = dataclasses.replace(options, depth=base.reading.depth)
    examined = examine(table, roles=roles, settings=settings, options=options, evidence=evidence)
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
    if base is not None:
        attached = attach.attach(base, dataset, settings=settings, workspace=workspace)
        summary |= {"unmatched": attached.unmatched, "shift": dataset.id}
        dataset = attached.dataset
    if payload.get("discard"):
        uploads.discard(path, uploads.folder(settings, workspace))
    return {**summary, "dataset": dataset.id}


def _roles(table: Any, given: Mapping[str, str] | None) -> tuple[dict[str, str], dict[str, str]]:
    """(column -> role, column -> why)."""
    if given is not None:
        return dict(given), dict.fromkeys(given, "chosen by hand")
    proposals = role_finder.choose(table)
    return {n: str(p.role) for n, p in proposals.items()}, {n: p.evidence for n, p in proposals.items()}

