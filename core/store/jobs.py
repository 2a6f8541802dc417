"""Rows of the queue as `Run` values: submit, read, list, rename, delete."""

from __future__ import annotations

import functools
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.domain import codec
from core.domain.device import Device
from core.domain.recipe import Recipe
from core.domain.resolve import is_open, resolved
from core.domain.run import Failure, JobKind, Run, Status
from core.errors import FailureKind, NotFoundError, ThawError
from core.store.database import Database
from core.store.queue_order import PLACE, PLACES

_ROWS = ("SELECT jobs.*, (SELECT recipe FROM jobs AS parents WHERE parents.id = jobs.parent) AS parent_recipe,"
         " CASE WHEN status = 'queued'"
         " THEN (SELECT position FROM place WHERE waiting = jobs.id) END AS position FROM jobs")


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What a caller decides about a job; the store adds id, ticket and times."""

    workspace: str
    kind: JobKind
    name: str
    runs_folder: Path
    """The run folder becomes `runs_folder / id`, or `runs_folder / folder_name`."""
    folder_name: str = ""
    """What is there is written over, so ended jobs of that folder are removed; one that has not ended is an error."""
    resume: bool = False
    """Go on from a checkpoint in the folder."""
    recipe: Recipe | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    experiment: str | None = None
    parent: str | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(6))


class Jobs:
    """Every call names the workspace; an id of another workspace is not found."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def submit(self, jobs: Sequence[NewJob], *, most: int | None = None) -> list[str]:
        """Queue all of them in this order, or none. Returns their ids.

        most: jobs that a workspace may have waiting; ThawError when it would have more.
        """
        now = time.time()
        with self._db.write() as connection:
            for workspace in {job.workspace for job in jobs}:
                check_room(connection, workspace, more=sum(job.workspace == workspace for job in jobs), most=most)
            ticket = connection.execute("SELECT coalesce(max(ticket), 0) FROM jobs").fetchone()[0]
            for offset, job in enumerate(jobs, start=1):
                folder = job.runs_folder / (job.folder_name or job.id)
                if job.folder_name:
                    _vacate(connection, folder)
                recipe = json.dumps(job.recipe.to_json()) if job.recipe else None
                connection.execute(
                    "INSERT INTO jobs (id, workspace, kind, name, status, ticket, folder, experiment, recipe, payload, "
                    "parent, created, resume, renamed) VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                    (job.id, job.workspace, job.kind.value, job.name, ticket + offset, str(folder), job.experiment,
                     recipe, json.dumps(job.payload), job.parent, now, job.resume))
        return [job.id for job in jobs]

    def get(self, workspace: str, job: str) -> Run:
        """One run; NotFoundError when this workspace has none of that id."""
        row = self._db.row(f"{PLACE} {_ROWS} WHERE id = :job AND jobs.workspace = :workspace",
                           {"job": job, "workspace": workspace})
        if row is None:
            raise missing(job)
        return to_run(row)

    def find(self, job: str) -> Run | None:
        """One run of any workspace: for workers and supervisors, never for pages."""
        row = self._db.row(f"{PLACE} {_ROWS} WHERE id = :job", {"job": job})
        return to_run(row) if row else None

    def of_folder(self, folder: Path) -> Run | None:
        """The newest run in a folder, of any workspace: for whoever has the files anyway."""
        row = self._db.row("SELECT * FROM jobs WHERE folder = ? ORDER BY ticket DESC LIMIT 1", (str(folder),))
        return to_run(row) if row else None

    def list(self, workspace: str, *, kind: JobKind | None = None, experiment: str | None = None) -> list[Run]:
        """Runs of a workspace (and of one experiment), newest first; of every kind also damaged ones (`Run.damage`), of
        one kind sound ones."""
        one = " AND experiment = :experiment" if experiment is not None else ""
        rows = self._db.rows(f"{PLACES} {_ROWS} WHERE jobs.workspace = :workspace AND (:kind IS NULL OR kind = :kind)"
                             f"{one} ORDER BY created DESC, jobs.rowid DESC",
                             {"workspace": workspace, "kind": kind.value if kind else None, "experiment": experiment})
        runs = [to_run(row) for row in rows]
        return [run for run in runs if not run.damage] if kind else runs

    def check_room(self, workspace: str, more: int, *, most: int) -> None:
        """ThawError when a workspace would have more than `most` jobs waiting with so many more."""
        check_room(self._db.connection(), workspace, more=more, most=most)

    def unfinished(self, kind: JobKind) -> Sequence[Run]:
        """Jobs of one kind that wait or are worked on, of all workspaces: for supervisors, never for pages."""
        rows = self._db.rows("SELECT * FROM jobs WHERE kind = ? AND status IN (?, ?, ?)",
                             (kind.value, Status.QUEUED.value, Status.RUNNING.value, Status.STOPPING.value))
        return [to_run(row) for row in rows]

    def resolve(self, run: Run, device: Device) -> Run:
        """Decide what a run that starts, and the runs of its experiment that have not started, leave to the device;
        returns the run.

        Only for runs that were submitted before the device was measured: nothing else changes, and nothing that has
        ever been executed.
        """
        with self._db.write() as connection:
            rows = connection.execute(
                "SELECT * FROM jobs WHERE recipe IS NOT NULL AND ((id = :id AND attempts = 1) OR"
                " (experiment = :experiment AND workspace = :ws AND status = 'queued' AND attempts = 0))",
                {"id": run.id, "experiment": run.experiment, "ws": run.workspace}).fetchall()
            for row in rows:
                if (recipe := to_run(row).recipe) is not None and is_open(recipe):
                    connection.execute("UPDATE jobs SET recipe = ? WHERE id = ?",
                                       (json.dumps(resolved(recipe, device).to_json()), row["id"]))
        return self.find(run.id) or run

    def rename(self, workspace: str, job: str, name: str) -> None:
        if not self._db.execute("UPDATE jobs SET name = ?, renamed = 1 WHERE id = ? AND workspace = ?",
                                (name, job, workspace)):
            raise missing(job)

    def delete(self, workspace: str, job: str) -> Path:
        """Remove row and events of a run that is not being worked on; returns its folder, which the caller deletes."""
        with self._db.write() as connection:
            folder = self.deletable(workspace, job)
            connection.execute("DELETE FROM jobs WHERE id = ?", (job,))
            connection.execute("DELETE FROM events WHERE run = ?", (job,))
        return folder

    def deletable(self, workspace: str, job: str) -> Path:
        """The folder of a run that may be deleted; NotFoundError, or ThawError while it is worked on."""
        row = self._db.row("SELECT status, folder FROM jobs WHERE id = ? AND workspace = ?", (job, workspace))
        if row is None:
            raise missing(job)
        if row["status"] in (Status.RUNNING, Status.STOPPING):
            raise ThawError("This run cannot be deleted yet.", why="It is still running.",
                            remedy="Stop it first, then delete it.")
        return Path(row["folder"])


def missing(job: str) -> NotFoundError:
    """The error for a run that this workspace does not have."""
    return NotFoundError(f"There is no run {job!r} here.", why="It was deleted, or it belongs to another workspace.",
                         remedy="Open the Runs page to see the runs of this workspace.")


def to_run(row: sqlite3.Row) -> Run:
    """A row of `jobs` as the domain's `Run`; what cannot be read is named in `damage`, nothing is raised."""
    keys = row.keys()
    damage: list[str] = []

    def read(name: str, parse: Callable[[Any], Any], otherwise: Any) -> Any:
        try:
            return parse(row[name]) if row[name] is not None else otherwise
        except Exception as error:  # noqa: BLE001 - whatever is in the row: it must not keep the others from being read
            damage.append(f"its {name} cannot be read ({type(error).__name__}: {str(error)[:80]})")
            return otherwise

    kind, status = read("kind", JobKind, JobKind.UNKNOWN), read("status", Status, Status.FAILED)
    recipe: Recipe | None = read("recipe", _recipe, None)
    payload: dict[str, Any] = read("payload", _dict, {})
    failure = read("failure", _failure, None)
    why = "; ".join(damage)
    return Run(
        id=row["id"], workspace=row["workspace"], kind=kind, name=row["name"], status=status, folder=row["folder"],
        experiment=row["experiment"], recipe=recipe, payload=payload, failure=damaged(why) if why else failure,
        damage=why, created=row["created"], started=row["started"], finished=row["finished"],
        heartbeat=row["heartbeat"], position=row["position"] if "position" in keys else None, parent=row["parent"],
        parent_recipe=_parent_recipe(row["parent_recipe"]) if "parent_recipe" in keys else None,
        renamed=None if row["renamed"] is None else bool(row["renamed"]), attempts=row["attempts"])


def _parent_recipe(text: str | None) -> Recipe | None:
    """None also where it cannot be read: that is the parent's damage, not the fork's."""
    try:
        return _recipe(text) if text else None
    except Exception:  # noqa: BLE001 - as in `to_run`
        return None


def _vacate(connection: sqlite3.Connection, folder: Path) -> None:
    """Remove the ended jobs of a folder that a new one will write over; ThawError while one waits or is worked on."""
    rows = connection.execute("SELECT id, status FROM jobs WHERE folder = ?", (str(folder),)).fetchall()
    for row in rows:
        if not to_status(row["status"]).final:
            raise ThawError(f"A run in {folder} has not ended yet.", why=f"Its state is {row['status']}.",
                            remedy="Wait until it has, stop it, or choose another folder.", kind=FailureKind.DATA)
        connection.execute("DELETE FROM jobs WHERE id = ?", (row["id"],))
        connection.execute("DELETE FROM events WHERE run = ?", (row["id"],))


def to_status(text: str) -> Status:
    """The status of that name; one that this version does not know is an end, from which nothing goes on by itself."""
    return Status(text) if text in set(Status) else Status.FAILED


def damaged(why: str) -> Failure:
    """Why a job whose row is damaged, or was written by another version, is not worked on."""
    return Failure(kind=FailureKind.INTERNAL, what="This entry of the queue cannot be read.",
                   why=f"Of its row in thaw.db {why}.",
                   remedy="It is damaged, or another version of Thaw wrote it. Delete it; other runs are not affected.")


def check_room(connection: sqlite3.Connection, workspace: str, *, more: int, most: int | None) -> None:
    """ThawError when a workspace would have more than `most` jobs waiting with so many more; None: no limit."""
    waiting = int(connection.execute("SELECT coalesce(sum(waiting), 0) FROM turns WHERE lane IN (0, 1) "
                                     "AND workspace = ?",
                                     (workspace,)).fetchone()[0])
    if most is not None and waiting + more > most:
        raise ThawError(f"The queue takes at most {most:,} waiting runs of one workspace.",
                        why=f"{waiting:,} are waiting already, and {more:,} more were asked for.",
                        kind=FailureKind.DATA,
                        remedy="Wait for some of them or stop them, ask for fewer, or have THAW_MAX_QUEUED raised.")


def _dict(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def _failure(text: str) -> Failure:
    return codec.from_json(Failure, json.loads(text))


@functools.lru_cache(maxsize=4096)
def _recipe(text: str) -> Recipe:
    """Recipes are frozen and never change after submit, so one parsed value serves every reading."""
    return Recipe.from_json(json.loads(text))
