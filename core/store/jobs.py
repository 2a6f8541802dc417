"""Rows of the queue as `Run` values: submit, read, list, rename, delete."""

from __future__ import annotations

import functools
import json
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.domain import codec
from core.domain.recipe import Recipe
from core.domain.run import Failure, JobKind, Run, Status
from core.errors import NotFoundError, ThawError
from core.store.database import Database
from core.store.waiting import LINE

_SELECT = f"""{LINE}
    SELECT jobs.*, CASE WHEN status = 'queued' THEN (SELECT position FROM line WHERE waiting = jobs.id) END AS position FROM jobs"""
"""The line is worked out only where a waiting job is among the rows: asking after a run under way, as pages often do, costs nothing."""


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What a caller decides about a job; the store adds id, ticket and times."""

    workspace: str
    kind: JobKind
    name: str
    runs_folder: Path
    """The run folder becomes `runs_folder / id`."""
    recipe: Recipe | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    experiment: str | None = None
    parent: str | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(6))


class Jobs:
    """Every call names the workspace; an id of another workspace is not found."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def submit(self, jobs: Sequence[NewJob]) -> list[str]:
        """Queue all of them in this order, or none. Returns their ids."""
        now = time.time()
        with self._db.write() as connection:
            ticket = connection.execute("SELECT coalesce(max(ticket), 0) FROM jobs").fetchone()[0]
            for offset, job in enumerate(jobs, start=1):
                recipe = json.dumps(job.recipe.to_json()) if job.recipe else None
                connection.execute(
                    "INSERT INTO jobs (id, workspace, kind, name, status, ticket, folder, experiment, recipe, payload, parent, created)"
                    " VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)",
                    (job.id, job.workspace, job.kind.value, job.name, ticket + offset, str(job.runs_folder / job.id),
                     job.experiment, recipe, json.dumps(job.payload), job.parent, now))
        return [job.id for job in jobs]

    def get(self, workspace: str, job: str) -> Run:
        """One run; NotFoundError when this workspace has none of that id."""
        row = self._db.row(f"{_SELECT} WHERE id = ? AND workspace = ?", (job, workspace))
        if row is None:
            raise missing(job)
        return to_run(row)

    def find(self, job: str) -> Run | None:
        """One run of any workspace: for workers and supervisors, never for pages."""
        row = self._db.row(f"{_SELECT} WHERE id = ?", (job,))
        return to_run(row) if row else None

    def list(self, workspace: str, *, kind: JobKind | None = None) -> list[Run]:
        """Runs of a workspace, newest first."""
        rows = self._db.rows(f"{_SELECT} WHERE workspace = :ws AND (:kind IS NULL OR kind = :kind) ORDER BY created DESC, ticket DESC",
                             {"ws": workspace, "kind": kind.value if kind else None})
        return [to_run(row) for row in rows]

    def unfinished(self, kind: JobKind) -> Sequence[Run]:
        """Jobs of one kind that wait or are worked on, of all workspaces: for supervisors, never for pages."""
        rows = self._db.rows("SELECT * FROM jobs WHERE kind = ? AND status IN (?, ?, ?)",
                             (kind.value, Status.QUEUED.value, Status.RUNNING.value, Status.STOPPING.value))
        return [to_run(row) for row in rows]

    def rename(self, workspace: str, job: str, name: str) -> None:
        if not self._db.execute("UPDATE jobs SET name = ? WHERE id = ? AND workspace = ?", (name, job, workspace)):
            raise missing(job)

    def delete(self, workspace: str, job: str) -> Path:
        """Remove row and events of a run that is not being worked on; returns its folder, which the caller deletes."""
        with self._db.write() as connection:
            row = connection.execute("SELECT status, folder FROM jobs WHERE id = ? AND workspace = ?", (job, workspace)).fetchone()
            if row is None:
                raise missing(job)
            if row["status"] in (Status.RUNNING, Status.STOPPING):
                raise ThawError("This run cannot be deleted yet.", why="It is still running.", remedy="Stop it first, then delete it.")
            connection.execute("DELETE FROM jobs WHERE id = ?", (job,))
            connection.execute("DELETE FROM events WHERE run = ?", (job,))
        return Path(row["folder"])


def missing(job: str) -> NotFoundError:
    """The error for a run that this workspace does not have."""
    return NotFoundError(f"There is no run {job!r} here.", why="It was deleted, or it belongs to another workspace.",
                         remedy="Open the Runs page to see the runs of this workspace.")


def to_run(row: sqlite3.Row) -> Run:
    """A row of `jobs` as the domain's `Run`."""
    keys = row.keys()
    return Run(
        id=row["id"], workspace=row["workspace"], kind=JobKind(row["kind"]), name=row["name"], status=Status(row["status"]),
        folder=row["folder"], experiment=row["experiment"], recipe=_recipe(row["recipe"]) if row["recipe"] else None,
        payload=json.loads(row["payload"]), failure=codec.from_json(Failure, json.loads(row["failure"])) if row["failure"] else None,
        created=row["created"], started=row["started"], finished=row["finished"], heartbeat=row["heartbeat"],
        position=row["position"] if "position" in keys else None, parent=row["parent"], attempts=row["attempts"])


@functools.lru_cache(maxsize=4096)
def _recipe(text: str) -> Recipe:
    """Recipes are frozen and never change after submit, so one parsed value serves every reading."""
    return Recipe.from_json(json.loads(text))
