"""Experiments: runs submitted together under one name."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.domain import codec
from core.domain.experiment import Experiment as Asked
from core.errors import NotFoundError, ThawError
from core.store.database import Database


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A named group of runs."""

    id: str
    workspace: str
    name: str
    created: float
    """Unix time in seconds."""
    asked: Asked | None = None
    """What a design laid out; None for runs that were chosen one by one, and of a version that knows more."""


class Experiments:
    """The table of experiments: named groups of runs of one workspace."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(self, workspace: str, name: str, *, asked: Asked | None = None) -> str:
        """Returns the new experiment's id."""
        found, document = secrets.token_hex(6), json.dumps(codec.to_json(asked)) if asked else None
        self._db.execute("INSERT INTO experiments (id, workspace, name, created, asked) VALUES (?, ?, ?, ?, ?)",
                         (found, workspace, name, time.time(), document))
        return found

    def list(self, workspace: str) -> Sequence[Experiment]:
        """Experiments of a workspace that still have a run, newest first."""
        return self._of(workspace)

    def get(self, workspace: str, id: str) -> Experiment:
        """One experiment that still has a run; NotFoundError when this workspace has none of that id."""
        found = next((experiment for experiment in self._of(workspace, " AND e.id = ?", id)), None)
        if found is None:
            raise _missing(id)
        return found

    def rename(self, workspace: str, id: str, name: str) -> None:
        """A new name; NotFoundError when this workspace has no experiment of that id."""
        if not self._db.execute("UPDATE experiments SET name = ? WHERE id = ? AND workspace = ?",
                                (name, id, workspace)):
            raise _missing(id)

    def remove(self, workspace: str, id: str, *, started_since: float | None = None) -> Sequence[Path]:
        """Remove rows and events of its runs in one step, also of those that are worked on: a worker whose row is gone
        ends itself. Returns their folders, which the caller deletes.

        started_since: only the runs that were submitted last, together, and after this time; none when that was before.
        """
        with self._db.write() as connection:
            rows = connection.execute(
                "SELECT id, folder FROM jobs WHERE experiment = :id AND workspace = :ws AND (:since IS NULL OR"
                " (created >= :since AND created = (SELECT max(created) FROM jobs WHERE experiment = :id)))",
                {"id": id, "ws": workspace, "since": started_since}).fetchall()
            for row in rows:
                connection.execute("DELETE FROM jobs WHERE id = ?", (row["id"],))
                connection.execute("DELETE FROM events WHERE run = ?", (row["id"],))
        return [Path(row["folder"]) for row in rows]

    def _of(self, workspace: str, more: str = "", *values: str) -> Sequence[Experiment]:
        rows = self._db.rows("SELECT * FROM experiments e WHERE workspace = ?"
                             f" AND EXISTS (SELECT 1 FROM jobs WHERE experiment = e.id){more} ORDER BY created DESC",
                             (workspace, *values))
        return [Experiment(id=row["id"], workspace=row["workspace"], name=row["name"], created=row["created"],
                           asked=_asked(row["asked"])) for row in rows]


def _asked(document: str | None) -> Asked | None:
    with contextlib.suppress(ValueError, KeyError, TypeError, ThawError):
        return codec.from_json(Asked, json.loads(document)) if document else None
    return None


def _missing(id: str) -> NotFoundError:
    return NotFoundError(f"There is no experiment {id[:80]!r} here.",
                         why="Its runs were deleted, or it belongs to another workspace.",
                         remedy="Open the Runs page to see the experiments of this workspace.")
