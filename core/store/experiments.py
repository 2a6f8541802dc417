"""Experiments: runs submitted together under one name."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from core.store.database import Database


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A named group of runs."""

    id: str
    workspace: str
    name: str
    created: float
    """Unix time in seconds."""


class Experiments:
    """The table of experiments: named groups of runs of one workspace."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(self, workspace: str, name: str) -> str:
        """Returns the new experiment's id."""
        found = secrets.token_hex(6)
        self._db.execute("INSERT INTO experiments VALUES (?, ?, ?, ?)", (found, workspace, name, time.time()))
        return found

    def list(self, workspace: str) -> list[Experiment]:
        """Experiments of a workspace that still have a run, newest first."""
        rows = self._db.rows("SELECT * FROM experiments e WHERE workspace = ?"
                             " AND EXISTS (SELECT 1 FROM jobs WHERE experiment = e.id) ORDER BY created DESC",
                             (workspace,))
        return [Experiment(id=row["id"], workspace=row["workspace"], name=row["name"], created=row["created"])
                for row in rows]
